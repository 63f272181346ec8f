# shellcheck shell=bash
# Versions of the brain, side by side in /opt/robot-brain. Sourced by install.sh, never run.
#
# A version is VERSION-PRINT, where the print is of all that it is made of: the same code is the same
# folder, other code of the same number is another. It counts as one only with its file `.complete`,
# which comes last; whatever a cut left is made anew. `current` leads to the one in force, `previous`
# to the one before; `.on-trial` names the one to go back to while a new one isn't known to be READY.

# What is set here is read in the other pieces, too.
# shellcheck disable=SC2034

here=${here:-} python=${python:-} profile=${profile:-} offline=${offline:-} task=${task:-}
without_extra=${without_extra:-} base=${base:-}
source='' target='' python_tag='' unbuilt=''

version_in_force() { version_by current; }
version_before() { version_by previous; }
version_on_trial() { [ -s "$base/.on-trial" ] && is_version "$base/$(cat "$base/.on-trial")"; }

version_by() {
    local name
    name=$(readlink "$base/$1" 2>/dev/null) && is_version "$base/$name"
}

is_version() { [ -f "$1/.complete" ] && echo "$1"; }

# Sets `source`: the wheelhouse to install from, or an installed version that is to stay.
find_source() {
    local checkout
    checkout=$(cd "$here/.." && pwd)
    if [ -n "$offline" ]; then
        [ -d "$offline" ] || refuse "there is no folder $offline"
        source=$(cd "$offline" && pwd -P)
    elif [ -f "$checkout/SHA256SUMS" ]; then
        source=$checkout # these scripts came with a wheelhouse
    elif [ -f "$checkout/pyproject.toml" ]; then
        build_wheelhouse
    elif [ -f "$checkout/.complete" ] && [ "$task" = install ]; then
        source=$checkout
    else
        refuse 'from where? --offline DIR names a wheelhouse'
    fi
}

# From the internet: the same wheelhouse as for machines without, in the cache.
build_wheelhouse() {
    local cache=${ROBOT_BRAIN_CACHE:-$root/var/cache/robot-brain} builder
    choose_python
    case $profile in
        orin-nx) builder=("$here/jetpack/build-wheels.sh" --out "$cache/wheelhouse-jetson") ;;
        rtx3090) builder=("$here/build-wheelhouse.sh" --cuda 86 --out "$cache/wheelhouse-cuda86") ;;
        # Its mind is vLLM's; what llama.cpp runs there stands in for it, on the CPU.
        rtx3090ti)
            builder=("$here/build-wheelhouse.sh" --native --extra vllm --out "$cache/wheelhouse-vllm") ;;
        *) builder=("$here/build-wheelhouse.sh" --native --out "$cache/wheelhouse") ;;
    esac
    builder+=(--python "$python")
    source=${builder[*]: -3:1}
    unbuilt=$dry
    step "fetch and build the wheels of this checkout in $source" \
        env ROBOT_BRAIN_CACHE="$cache" "${builder[@]}" ||
        fail 'the wheels could not be built, see above; nothing was installed'
}

# Whether it is whole, for this machine, and has what the profile needs. Sets `target`.
check_source() {
    local wheel version print file named
    if [ -f "$source/.complete" ]; then
        target=$source
        check_extras "$source/requirements.txt"
        return
    fi
    if [ -n "$unbuilt" ]; then
        target=$base/$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$here/../brain/__init__.py")-...
        return
    fi
    say "checking the wheelhouse $source"
    (cd "$source" && sha256sum --check --strict --quiet SHA256SUMS) ||
        refuse "$source isn't whole: copy it again (or fill it again with its build script)"
    wheel=$(find "$source" -maxdepth 1 -name 'robot_brain-*.whl')
    [ -f "$wheel" ] || refuse "$source has no robot_brain-*.whl, or more than one"
    named=$(sed 's/^[0-9a-f]* [ *]\(\.\/\)\{0,1\}//' "$source/SHA256SUMS")
    for file in requirements.txt "$(basename "$wheel")"; do
        grep -qxF "$file" <<<"$named" ||
            refuse "$source/SHA256SUMS does not name $file"
    done
    check_extras "$source/requirements.txt"
    check_processor "$source"
    choose_python "$source"
    version=$(basename "$wheel" | cut -d- -f2)
    print=$({ echo "$python_tag"; sha256sum <"$wheel"; sha256sum <"$source/requirements.txt"
        cd "$here" && find . -type f -print0 | sort -z | xargs -0 sha256sum; } | sha256sum)
    target=$base/$version-${print:0:8}
    # Unpacked and compiled to bytecode, wheels take three times their size (710 MB of 236).
    if [ ! -f "$target/.complete" ]; then
        enough_disk $(($(du -ck "$source"/*.whl | tail -n 1 | cut -f1) * 4 + 51200))
    fi
}

# The engines of a profile that are extras, and the torch that nobody else needs.
check_extras() {
    local extra lacks=''
    local extras=(llama-cpp-python faster-whisper piper-tts)
    if [ "$profile" = rtx3090ti ]; then extras+=(vllm); fi
    for extra in "${extras[@]}"; do
        grep -q "^$extra==" "$1" || lacks+=" $extra"
    done
    if ! with_vllm "$1" && grep -qE '^torch(==| )' "$1"; then
        refuse "$1 names torch, which nothing but vLLM needs: fill the wheelhouse again"
    fi
    if [ -z "$lacks" ]; then return; fi
    if [ -n "$without_extra" ]; then
        warn "these wheels lack$lacks: the brain will serve, but degraded (--without-extra)"
        return
    fi
    warn "profile $profile needs$lacks, which these wheels don't have: it would answer as the pocket brain"
    if [ "$profile" = rtx3090ti ]; then
        warn 'fill it with build-wheelhouse.sh --extra vllm; or the same machine has a mind of its own'
        warn 'with --profile rtx3090; or --without-extra, and then LLM_BACKEND=ollama (or openai,'
        warn 'llamacpp) in /etc/brain/brain.env'
    fi
    exit 2
}

# Whether these requirements bring vLLM, and with it torch and all that.
with_vllm() { grep -q '^vllm==' "$1"; }

# Makes `target` unless it is there whole.
make_version() {
    if [ -f "$target/.complete" ]; then
        say "$(basename "$target") is there already"
        if [ -n "$dry" ] || "$target/bin/brain" --version >/dev/null; then return; fi
        warn 'but it is broken, and made again'
    fi
    step "make ${target#"$root"} with $python: about a minute" fill_version
}

fill_version() {
    local log=$base/install.log
    rm -rf "$target"
    mkdir -p "$target/bin"
    : >"$log"
    fill_environment >>"$log" 2>&1 || {
        tail -n 15 "$log" >&2
        fail_version "the packages could not be installed, see ${log#"$root"}"
    }
    if ! with_vllm "$source/requirements.txt" &&
        [ -n "$(find "$target/venv" -type d -path '*-packages/torch' -print -quit)" ]; then
        fail_version 'torch came along with the base, where it has no business'
    fi
    ln -s ../venv/bin/brain "$target/bin/brain"
    cp -r "$here" "$target/deploy"
    # The pages, for who stands before the machine without internet.
    if [ -e "$here/../docs/operations.md" ]; then
        cp -r "$here"/../{docs,README.md} "$target/"
        chmod -R u=rwX,go=rX "$target"/{docs,README.md}
    fi
    # A stick with a FAT file system knows no modes.
    chmod -R u=rwX,go=rX "$target/deploy"
    chmod 0755 "$target"/deploy/{,*/}*.sh "$target"/deploy/systemd/brain-{last-resort,memory-prepare}
    cp "$source/requirements.txt" "$source/constraints.txt" "$target/"
    check_libraries
    # What a power cut must not take: first all of it, then the word that it is all.
    sync -f "$target"
    touch "$target/.complete"
    sync "$target"
}

# What can't be used mustn't fill the disk either.
fail_version() {
    rm -rf "$target"
    fail "$1; nothing was put in force"
}

# From the wheelhouse alone, by its own pip, with no word from this machine's settings for pip.
fill_environment() {
    local pip wheel
    pip=$(find "$source" -maxdepth 1 -name 'pip-*.whl' | sort -V | tail -n 1)
    [ -n "$pip" ] || { echo "$source has no wheel of pip"; return 1; }
    wheel=$(find "$source" -maxdepth 1 -name 'robot_brain-*.whl')
    "$python" -m venv --without-pip "$target/venv" || return 1
    # The brain's own wheel by its checksum, too.
    {
        cat "$source/requirements.txt"
        printf '\n%s\n' "robot-brain==$(basename "$wheel" | cut -d- -f2) --hash=sha256:$(
            sha256sum "$wheel" | cut -d' ' -f1)"
    } >"$target/.requirements.txt"
    env -i "PATH=$PATH" LC_ALL=C.UTF-8 PIP_CONFIG_FILE=/dev/null "$target/venv/bin/python" \
        "$pip/pip" install --no-index --find-links "$source" --no-deps --require-hashes \
        --no-cache-dir --disable-pip-version-check --root-user-action ignore \
        -r "$target/.requirements.txt" || return 1
    rm "$target/.requirements.txt"
}

# Whether what was installed loads here: libraries of the system may be missing.
check_libraries() {
    local name module problem
    for name in llama-cpp-python:llama_cpp ctranslate2:ctranslate2 onnxruntime:onnxruntime \
        torch:torch vllm:vllm; do
        module=${name#*:}
        grep -q "^${name%:*}==" "$source/requirements.txt" || continue
        problem=$("$target/venv/bin/python" -I -c "import $module" 2>&1) && continue
        problem=$(tail -n 1 <<<"${problem:-it crashes}")
        case $problem in
            *libgomp.so.1*) problem+=' (apt install libgomp1)' ;;
            *libstdc++.so.6*) problem+=' (apt install libstdc++6)' ;;
            *libopenblas.so*) problem+=' (apt install libopenblas0)' ;;
            *GLIBC*) problem+=' (the wheels were built on a newer system than this one)' ;;
            *libcu* | *libnv*) problem+=' (the CUDA that it was built with is missing here)' ;;
        esac
        fail_version "$module does not load: $problem"
    done
    problem=$("$target/bin/brain" --version 2>&1) ||
        fail_version "the brain does not start: $(tail -n 1 <<<"$problem")"
}

# link NAME VERSION: in one step, so that there is always one, and a whole one.
link() {
    ln -sfn "$(basename "$2")" "$base/.$1.new"
    mv -T "$base/.$1.new" "$base/$1"
    sync "$base"
}

trial_begins() {
    basename "$1" >"$base/.on-trial"
    sync "$base/.on-trial" "$base"
}
trial_ended() { rm -f "$base/.on-trial"; }

# What is neither in force nor the one before goes: versions of long ago, and halves.
prune_versions() {
    local folder
    for folder in "$base"/*-*/; do
        folder=${folder%/}
        case $(basename "$folder") in
            "$(readlink "$base/current")" | "$(readlink "$base/previous" || true)") continue ;;
        esac
        if [ -d "$folder/bin" ]; then step "remove ${folder#"$root"}" rm -rf "$folder"; fi
    done
}
