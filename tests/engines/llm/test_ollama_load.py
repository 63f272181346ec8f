"""Loading the Ollama mind: names, pulls, addresses, and what is missed later."""

from __future__ import annotations

import base64
import dataclasses
import logging

import pytest

from brain.engines.llm import ollama_server
from brain.engines.llm.ollama import OllamaMind, probe
from brain.engines.ports import (
    EngineUnavailable,
)
from tests.engines.llm.ollama_asking import answer, options, run, said
from tests.engines.llm.ollama_server import (
    Cut,
    Fault,
    Hold,
    Layer,
    OllamaServer,
    Raw,
    Refuse,
    Reply,
)


@pytest.mark.parametrize("name", ["qwen3", "Qwen3:latest", "registry.ollama.ai/library/qwen3"])
def test_a_name_without_a_tag_is_the_latest(name: str) -> None:
    async def main(server: OllamaServer) -> None:
        server.models = {"qwen3:latest": ("completion",)}
        chosen = options(server, model=name.replace("Q", "q"), auto_pull=False)
        await (await OllamaMind.load(chosen)).close()
        await probe(dataclasses.replace(chosen, model=name))

    run(main)


def test_a_missing_model_is_pulled_and_how_far_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def main(server: OllamaServer) -> list[str]:
        server.registry = {"new:1b": ("completion",)}
        server.pulls = [[
            Layer("sha256:aaaa", 1000, 0), Layer("sha256:aaaa", 1000, 430),
            Layer("sha256:aaaa", 1000, 1000), Layer("sha256:bbbb", 1000, 200),
        ]]  # fmt: skip
        heard: list[str] = []
        mind = await OllamaMind.load(options(server, model="new:1b"), tell=heard.append)
        assert said(await answer(mind)) == "Hello there."
        await mind.close()
        return heard

    caplog.set_level(logging.INFO, "brain")
    heard = run(main)
    assert heard == [
        "pulling new:1b: pulling manifest",
        "pulling new:1b: 0 %",
        "pulling new:1b: 43 %",
        "pulling new:1b: 100 %",
        "pulling new:1b: 60 %",
        "pulling new:1b: verifying sha256 digest",
        "pulling new:1b: writing manifest",
        "pulling new:1b: success",
    ]
    assert "Ollama has pulled new:1b." in caplog.messages
    assert not [line for line in caplog.messages if "%" in line]  # none, that soon


def test_without_auto_pull_the_user_is_told_what_to_do() -> None:
    async def main(server: OllamaServer) -> None:
        server.registry = {"new:1b": ("completion",)}
        with pytest.raises(EngineUnavailable, match=r"ollama pull new:1b.*AUTO_PULL_OLLAMA_MODEL"):
            await OllamaMind.load(options(server, model="new:1b", auto_pull=False))
        assert not server.asked("/api/pull")

    run(main)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([Layer("sha256:a", 10, 3), Fault("write: no space left on device")], "no space left"),
        ([Layer("sha256:a", 10, 3), Cut()], "broke off (it got to 30 %)"),
        ([Cut(neatly=True)], "instead of success"),
        ([Raw(b"<html>\n")], "broke off"),
        (Refuse(400, b'{"error": "invalid model name"}'), "invalid model name"),
        (Refuse(500, b'{"error": "max retries exceeded"}'), "max retries exceeded"),
    ],
)
def test_a_pull_that_fails_says_why_and_the_next_one_may_not(script: Reply, words: str) -> None:
    async def main(server: OllamaServer) -> None:
        server.registry = {"new:1b": ("completion",)}
        server.pulls = [script, [Layer("sha256:a", 10, 10)]]
        with pytest.raises(EngineUnavailable) as raised:
            await OllamaMind.load(options(server, model="new:1b"))
        assert words in str(raised.value)
        assert "new:1b" in str(raised.value)
        await (await OllamaMind.load(options(server, model="new:1b"))).close()

    run(main)


def test_a_model_that_nobody_has() -> None:
    async def main(server: OllamaServer) -> None:
        with pytest.raises(EngineUnavailable, match="none:1b: pull model manifest: file does not"):
            await OllamaMind.load(options(server, model="none:1b"))

    run(main)


def test_a_pull_has_its_time() -> None:
    async def main(server: OllamaServer) -> None:
        server.registry = {"new:1b": ("completion",)}
        server.pulls = [[Layer("sha256:a", 10, 3), Hold()]]
        with pytest.raises(EngineUnavailable, match=r"OLLAMA_PULL_TIMEOUT_S=0.1 s.*30 %"):
            await OllamaMind.load(options(server, model="new:1b", pull_timeout_s=0.1))
        await server.requests[-1].left.wait()

    run(main)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://127.0.0.1:99999", "http://[::1"])
def test_an_address_where_nobody_is(url: str) -> None:
    async def main(server: OllamaServer) -> None:
        with pytest.raises(EngineUnavailable, match="OLLAMA_URL=http"):
            await OllamaMind.load(options(server, url=url))
        with pytest.raises(EngineUnavailable, match="OLLAMA_URL=http"):
            await probe(options(server, url=url))

    run(main)


def test_name_and_password_go_to_the_server_and_into_no_message() -> None:
    async def main(server: OllamaServer) -> None:
        url = server.url.replace("//", "//robot:s%40cret@")
        mind = await OllamaMind.load(options(server, url=url))
        await answer(mind)
        await probe(options(server, url=url))
        basic = "Basic " + base64.b64encode(b"robot:s@cret").decode()
        assert {request.authorization for request in server.requests} == {basic}
        await server.stop()
        for failing in (answer(mind), probe(options(server, url=url))):
            with pytest.raises(EngineUnavailable) as raised:
                await failing
            assert f"OLLAMA_URL={server.url} can't be reached" in str(raised.value)
        await mind.close()

    run(main)


def test_a_server_that_is_not_ollama() -> None:
    async def main(server: OllamaServer) -> None:
        with pytest.raises(EngineUnavailable):
            await probe(options(server, url=f"{server.url}/elsewhere"))
        # Whatever it is, it has no such model, and nothing can be pulled there.
        with pytest.raises(EngineUnavailable, match="can't pull"):
            await OllamaMind.load(options(server, url=f"{server.url}/elsewhere"))

    run(main)


def test_a_server_that_hangs_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(server: OllamaServer) -> None:
        server.hangs = True
        with pytest.raises(EngineUnavailable, match=r"OLLAMA_URL=.* didn't answer within 0.1 s"):
            await probe(options(server))
        await server.requests[-1].left.wait()
        with pytest.raises(EngineUnavailable, match=r"OLLAMA_URL=.* didn't answer within 0.1 s"):
            await OllamaMind.load(options(server))

    monkeypatch.setattr(ollama_server, "_PROBE_S", 0.1)
    monkeypatch.setattr(ollama_server, "_ANSWER_S", 0.1)
    run(main)


def test_a_model_that_was_removed_is_missed() -> None:
    async def main(server: OllamaServer) -> None:
        mind = await OllamaMind.load(options(server))
        await probe(options(server))
        server.models.clear()
        with pytest.raises(EngineUnavailable, match="any more"):
            await probe(options(server))
        with pytest.raises(EngineUnavailable, match="not found"):
            await answer(mind)
        await mind.close()

    run(main)
