#!/bin/sh
# Sets up what the other commands need: a virtual environment with the locked packages, Java, and Delta's jars.
# `setup.sh airflow` sets up the scheduler's own environment after that one.
# Can be run again from any state: what is complete is left alone, what was interrupted is made anew.
#   VENV          the folder of the environment (default .venv)
#   AIRFLOW_VENV  the folder of the scheduler's (default .venv-airflow)
#   PYTHON        the Python 3.11 or 3.12 to make them with (default: the first one found)
set -eu
cd "$(dirname "$0")/.."
root=$(pwd)
venv=${VENV:-.venv}
locks='requirements/build.lock requirements/karma.lock'
asked=${PYTHON:-}

say() { printf '%s\n' "$*"; }
stop() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Version and path of a Python that runs; nothing where it does not (a version manager's stand-in, say).
version_of() { "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null || true; }

is_wanted() {
    case $1 in
        3.11.* | 3.12.*) true ;;
        *) false ;;
    esac
}

# Sets `python` and `version`, or stops with a sentence.
find_python() {
    found='' bare=''
    if [ -n "$asked" ]; then set -- "$asked"; else set -- python3.12 python3.11 python3 python; fi
    for python do
        version=$(version_of "$python")
        [ -z "$version" ] || found="$found $python=$version"
        is_wanted "$version" || continue
        "$python" -c 'import ensurepip, venv' 2>/dev/null && return
        bare="$python $version"
    done
    [ -z "$bare" ] || stop "$bare lacks the modules venv and ensurepip (Debian and Ubuntu: the package python3-venv), or name another Python: make PYTHON=/path/to/python3.12"
    stop "Python 3.11 or 3.12 is needed; found:${found:- none}. Name one that is elsewhere: make PYTHON=/path/to/python3.12"
}

# What a complete environment depends on; it also holds its own place, which a virtual environment cannot leave.
fingerprint() {
    {
        cat $locks scripts/setup.sh
        sed '/^\[tool\./,$d' pyproject.toml # the settings of tools install nothing
        uname -sm
        say "$root $venv $1"
    } | cksum
}

# Whether a step left its mark, and nothing that it depends on has changed since: `installed` (the packages), `complete` (all).
has_mark() {
    [ -f "$venv/$1" ] || return 1
    version=$(version_of "$venv/bin/python")
    [ -n "$version" ] || return 1
    [ "$(cat "$venv/$1")" = "$(fingerprint "$version")" ] || return 1
    [ -z "$asked" ] || [ "$(version_of "$asked")" = "$version" ]
}

mark() { fingerprint "$version" >"$venv/$1"; }

# One set-up at a time, where the machine can tell.
wait_for_others() {
    command -v flock >/dev/null 2>&1 || return 0
    mkdir -p var
    exec 9>var/setup.lock
    flock -n 9 && return 0
    say "Another set-up is running: waiting for it."
    flock 9
}

remove_environment() {
    [ -e "$venv" ] || return 0
    [ -f "$venv/pyvenv.cfg" ] || [ -z "$(ls -A "$venv")" ] || stop "$venv is in the way: it is not a virtual environment, so it is left alone. Move it, or set VENV."
    rm -f "$venv/complete" "$venv/installed"
    # What names it a virtual environment goes last, so that an interrupted removal is taken up again.
    find "$venv" -mindepth 1 -maxdepth 1 ! -name pyvenv.cfg -exec rm -rf {} +
    rm -rf "$venv"
}

pip_setting() { "$venv/bin/python" -m pip config get "$1" 2>/dev/null || true; }

# uv reads none of pip's settings: hand it the user's mirror and certificates.
follow_pip_settings() {
    index=${PIP_INDEX_URL:-$(pip_setting global.index-url)}
    more=${PIP_EXTRA_INDEX_URL:-$(pip_setting global.extra-index-url)}
    trusted=${PIP_TRUSTED_HOST:-$(pip_setting global.trusted-host)}
    certificates=${PIP_CERT:-$(pip_setting global.cert)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
    [ -z "$more" ] || export UV_INDEX="${UV_INDEX:-$more}"
    [ -z "$trusted" ] || export UV_INSECURE_HOST="${UV_INSECURE_HOST:-$trusted}"
    [ -z "$certificates" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$certificates}"
    export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
}

# A user's own cache is used where there is one; else it lies with the rest under var/.
choose_caches() {
    [ -d "${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/uv" ] || export UV_CACHE_DIR="${UV_CACHE_DIR:-$root/var/cache/uv}"
    [ -d "${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/pip" ] || export PIP_CACHE_DIR="${PIP_CACHE_DIR:-$root/var/cache/pip}"
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
}

# Compiled once, as pip does too: where Python may write no bytecode later (containers say so), every process that imports torch,
# transformers and Great Expectations would compile 4,000 files again, eleven seconds of it.
install_with_uv() {
    "${uv:-$venv/bin/uv}" pip install --compile-bytecode --quiet --python "$venv/bin/python" --no-build-isolation "$@"
}

install_with_pip() {
    say "      uv could not install them: trying with pip, which takes longer."
    "$venv/bin/python" -m pip install --quiet --no-build-isolation --use-pep517 "$@"
}

install() { install_with_uv "$@" || install_with_pip "$@"; }

make_environment() {
    find_python
    say "[1/3] Python environment: $venv with $python $version. Some 3 GB are fetched; it takes about two minutes on a fast line and 9 GB of disk."
    remove_environment
    choose_caches
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --require-hashes --only-binary :all: -r requirements/build.lock
    follow_pip_settings
    install --require-hashes -r requirements/karma.lock
    install --no-deps --editable .
    mark installed
}

ready_spark() {
    say "[2/3] Java: $("$venv/bin/python" -m jobs.java)"
    say "[3/3] Spark and Delta: a first session, which fetches Delta's jars and archives Spark's classes (about 40 seconds)."
    mkdir -p var
    "$venv/bin/python" -m jobs.ready_spark >var/setup.log 2>&1 || {
        cat var/setup.log >&2
        stop "Spark did not start; what it said stands above and in var/setup.log."
    }
}

# The scheduler needs Airflow and the jobs' spark-submit, so its packages and theirs never meet. Its lock leaves out one that a
# provider asks for (requirements/airflow.overrides), hence --no-deps.
set_up_airflow() {
    sh scripts/setup.sh
    made_with=$venv/bin/python uv=$venv/bin/uv
    venv=${AIRFLOW_VENV:-.venv-airflow} locks=requirements/airflow.lock
    has_mark complete && return
    wait_for_others
    has_mark complete && return
    say "Airflow: $venv with its locked packages (about 250 MB)."
    remove_environment
    choose_caches
    "$made_with" -m venv "$venv"
    version=$(version_of "$venv/bin/python")
    follow_pip_settings
    install --no-deps --require-hashes -r requirements/airflow.lock
    mark complete
    say "Airflow is set up."
}

if [ "${1:-}" = airflow ]; then
    set_up_airflow
    exit
fi
has_mark complete && exit 0
wait_for_others
has_mark complete && exit 0
has_mark installed || make_environment
ready_spark
mark complete
say "The set-up is complete."
