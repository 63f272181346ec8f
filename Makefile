# make demo   sets up, starts the brain, has a robot talk to it, shows what happened
# make test   sets up, passes the tests
# make test-appliance  as root: boots whole systems, installs the brain, and goes through its life
# make test-vllm  passes the tests of vLLM on the CPU, in an environment of their own (3.5 GB)
# make mutation  breaks turn-taking in 600 ways, one at a time, and says which the tests don't notice
# make bench  measures turn-taking beside its peers, for half an hour, and writes a report
# make pocket trains the embedded models from nothing (under 3 hours on 2 cores)

.PHONY: setup demo test test-appliance test-vllm mutation bench lint lock pocket clean

setup:
	@tools/setup.sh

demo: setup
	@.venv/bin/python -m tools.demo

test: setup
	@tools/test.sh

test-appliance:
	@tools/test_appliance.sh

test-vllm:
	@tools/test_vllm.sh

mutation: setup
	@.venv/bin/python -m tools.mutate_turn

bench: setup
	@.venv/bin/python -m benchmarks

lint: setup
	@tools/lint.sh

# Pins and hashes, and no address of any index. appliance.lock is requirements.lock without what only
# its makers need, and with the pip that installs it where there is none. vllm.lock is that with the
# extra vllm: as far as vLLM lets it, of the same versions. (Without the lower bound uv would rather
# take a vLLM of a year ago than an older fastapi.)
# fleet.lock is what of requirements.lock a brain without models needs.
lock: setup
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
		--no-emit-package llama-cpp-python --no-emit-package robot-brain-client \
		--extra llm --extra stt --extra tts --extra fleet --extra dev pyproject.toml -o requirements.lock
	@echo pip | .venv/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
		--no-header --no-annotate --no-emit-package llama-cpp-python \
		--extra llm --extra stt --extra tts --extra fleet -c requirements.lock pyproject.toml - -o appliance.lock
	@awk '/^[a-z0-9-]+==/ { old = /python_full_version < .3\.11/ } !old' appliance.lock >vllm.lock
	@printf 'pip\nvllm>=0.32\n' | .venv/bin/uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --no-emit-package llama-cpp-python \
		--extra llm --extra stt --extra tts --extra fleet --extra vllm pyproject.toml - -o vllm.lock
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
		--no-annotate --extra fleet -c requirements.lock pyproject.toml -o deploy/fleet/fleet.lock
	@echo 'llama-cpp-python>=0.3.36' | .venv/bin/uv pip compile --quiet --universal --python-version 3.10 \
		--generate-hashes --no-header --no-deps - -o llama-cpp.lock
	@printf 'pipecat-ai[websocket,silero,openai]==1.14.0\n' | .venv/bin/uv pip compile --quiet --universal \
		--python-version 3.11 --generate-hashes --no-header --no-annotate - -o benchmarks/peers/pipecat.lock
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate benchmarks/peers/s2s.in -o benchmarks/peers/s2s.lock
	@printf 'speech-to-speech==1.1.0\nsilero-vad==6.2.3\n' | .venv/bin/uv pip compile --quiet --universal \
		--python-version 3.11 --generate-hashes --no-header --no-annotate --no-deps - -o benchmarks/peers/s2s-alone.lock
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header \
		--no-emit-package robot-brain-client --extra reachy --extra test --extra audio \
		robot_client/pyproject.toml -o robot_client/reachy.lock

pocket: setup
	@tools/pocket/make.sh

clean:
	rm -rf .venv .venv-* build demo-out .mypy_cache .pytest_cache .ruff_cache .hypothesis
