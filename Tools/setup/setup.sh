# Sourced by scripts/*. Finds what is missing on a fresh machine, installs it or says how, and prints headings
# for people. It builds and runs nothing by itself.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# The scripts that source this file read these variables.
# shellcheck disable=SC2034
venv=$root/.venv python=$root/.venv/bin/python models=$root/.build-models
# Tests and checks build apart from what one builds by hand: their flags differ, and SwiftPM would begin
# anew at each change from the one to the other.
# shellcheck disable=SC2034
strict_build=$root/.build-strict
torch=2.13.0

# Colour for people only: not in a file, a pipe or a log.
if [[ -t 1 && -z ${NO_COLOR-} && ${TERM-dumb} != dumb ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' blue=$'\e[34m' plain=$'\e[0m'
else
  bold='' dim='' red='' green='' blue='' plain=''
fi

heading() { printf '\n%s%s▸ %s%s\n' "$bold" "$blue" "$*" "$plain"; }
note() { printf '  %s%s%s\n' "$dim" "$*" "$plain"; }
good() { printf '  %s✓%s %s\n' "$green" "$plain" "$*"; }
fail() {
  printf '%s%s: %s%s\n' "$red" "${0##*/}" "$*" "$plain" >&2
  exit 1
}

# Prints the comment at the head of the script that calls it, without the marks.
usage() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); if (!/SPDX/) print }' "$0"; }

# Gives a command line to a tool's arguments.py, which needs nothing but Python: a mistake ends the script with 2
# before anything is installed or built, and --help is answered and ends the script with 0.
read_arguments() {
  local program=$1 argument
  shift
  if ! command -v python3 >/dev/null; then
    for argument; do
      case $argument in -h | --help) fail "python3 is needed to print the options" ;; esac
    done
    return
  fi
  # -B: nothing is written, not even compiled Python.
  PYTHONPATH=$root/Tools python3 -B "$program" "$@" || exit
  for argument; do
    case $argument in -h | --help) exit 0 ;; esac
  done
}

# Runs a command; shows what it printed only if it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if ((status)); then tail -n 40 "$log" >&2; fi
  rm -f "$log"
  return "$status"
}

# Installs Debian packages, or says how and ends.
install_packages() {
  local -a as_root=()
  local remedy="sudo apt-get update && sudo apt-get install --yes $*"
  if ! command -v apt-get >/dev/null; then
    fail "missing: $*. This is no Debian or Ubuntu; install the equivalents of your system" \
      "(on Debian: $remedy) and run this again."
  fi
  if ((EUID)); then
    # Asks for a password only where someone can type one.
    if ! command -v sudo >/dev/null || { ! sudo -n true 2>/dev/null && [[ ! -t 0 ]]; }; then
      fail "missing: $*. Install with: $remedy"
    fi
    as_root=(sudo)
  fi
  note "installing $* (apt-get)"
  export DEBIAN_FRONTEND=noninteractive
  quietly "${as_root[@]}" apt-get update || note "apt-get update failed; trying with the old lists"
  quietly "${as_root[@]}" apt-get install --yes --no-install-recommends "$@" ||
    fail "apt-get could not install $*. Try: $remedy"
}

need_system_packages() {
  local -a missing=()
  command -v git >/dev/null || missing+=(git ca-certificates)
  [[ -e /usr/include/zmq.h || -e /usr/local/include/zmq.h ]] || missing+=(libzmq3-dev)
  command -v pkg-config >/dev/null || missing+=(pkg-config)
  command -v python3 >/dev/null || missing+=(python3)
  # Debian splits the modules that make an environment off from Python.
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then missing+=(python3-venv); fi
  if ((${#missing[@]})); then install_packages "${missing[@]}"; fi
}

# What Tests/KernelParity needs to be built for aarch64 and run: its C library, and an emulator.
need_aarch64() {
  local -a missing=()
  command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
  [[ $(uname -m) == aarch64 || -e /usr/aarch64-linux-gnu/include/stdio.h ]] ||
    missing+=(libc6-dev-arm64-cross)
  if ((${#missing[@]})); then install_packages "${missing[@]}"; fi
}

# The browser in which Tests/EndToEndTests/test_page.py uses the page.
need_chromium() {
  local -a missing=()
  command -v chromium >/dev/null || missing+=(chromium)
  command -v chromedriver >/dev/null || missing+=(chromium-driver)
  if ((${#missing[@]})); then install_packages "${missing[@]}"; fi
}

# What stands before a shim and watches it in Tests/EndToEndTests: test_proxies.py, test_monitoring.py.
need_servers() {
  local -a missing=()
  local PATH=$PATH:/usr/sbin
  command -v nginx >/dev/null || missing+=(nginx-light)
  command -v haproxy >/dev/null || missing+=(haproxy)
  command -v caddy >/dev/null || missing+=(caddy)
  command -v promtool >/dev/null || missing+=(prometheus)
  command -v curl >/dev/null || missing+=(curl)
  command -v openssl >/dev/null || missing+=(openssl)
  if ((${#missing[@]})); then
    install_packages "${missing[@]}"
    # The tests start servers of their own.
    if [[ -d /run/systemd/system ]]; then
      note "Debian starts what it installs; to end it: systemctl disable --now nginx haproxy caddy prometheus"
    fi
  fi
}

need_swift() {
  local version
  command -v swift >/dev/null ||
    fail "Swift 6.3 or newer is needed: https://www.swift.org/install/linux/ tells how to install it."
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
  [[ $(printf '%s\n' 6.3 "${version:-0}" | sort -V | head -n 1) == 6.3 ]] ||
    fail "Swift ${version:-of an unknown version} is too old, 6.3 is needed:" \
      "https://www.swift.org/install/linux/"
}

# Makes .venv with what the named requirements hold; does nothing where it is there already.
need_python() {
  local wanted=$1 file=$root/Tools/setup/$1 stamp
  if [[ ! -x $python ]]; then quietly python3 -m venv "$venv" || fail "no environment in $venv"; fi
  # What the tests need holds all that the others do.
  for stamp in "$venv/.requirements-test.txt" "$venv/.$wanted"; do
    if cmp -s <(cat "$root"/Tools/setup/requirements*.txt) "$stamp"; then return; fi
  done
  note "installing Python packages into .venv ($wanted)"
  if [[ $wanted == requirements-test.txt ]]; then need_torch; fi
  quietly "$python" -m pip install --disable-pip-version-check --requirement "$file" ||
    fail "pip could not install $file into $venv"
  if [[ $wanted == requirements-test.txt ]]; then
    quietly "$python" -m pip install --disable-pip-version-check --no-deps \
      --requirement "${file%.txt}-alone.txt" || fail "pip could not install ${file%.txt}-alone.txt into $venv"
  fi
  cat "$root"/Tools/setup/requirements*.txt >"$stamp"
}

# The wheel of PyPI brings gigabytes of CUDA, so the CPU's is asked for first: where pip looks by
# itself, then in torch's own index.
need_torch() {
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "the tests need Python 3.11 or newer (numpy, transformers); python3 is $(python3 --version)." \
      "Put a newer python3 first in PATH, remove .venv and run this again."
  local pip=("$python" -m pip install --disable-pip-version-check)
  "${pip[@]}" "torch==$torch+cpu" >/dev/null 2>&1 </dev/null ||
    "${pip[@]}" --retries 1 --index-url https://download.pytorch.org/whl/cpu "torch==$torch+cpu" \
      >/dev/null 2>&1 </dev/null ||
    quietly "${pip[@]}" "torch==$torch" || fail "pip could not install torch $torch into $venv"
}

# Makes a virtual environment outside the repository, once for each list of packages, and sets `python` to its Python:
# need_pinned_python NAME TORCH PACKAGE... Arguments after "--no-deps" are installed without what they import.
need_pinned_python() {
  local name=$1 torch=$2 wanted="${*:2}" folder dependencies=yes package
  local -a packages=() alone=()
  for package in "${@:3}"; do
    if [[ $package == --no-deps ]]; then dependencies=''; continue; fi
    if [[ $dependencies ]]; then packages+=("$package"); else alone+=("$package"); fi
  done
  folder=${XDG_CACHE_HOME:-$HOME/.cache}/llorch/$name
  python=$folder/bin/python
  if [[ -f $folder/.packages && $(<"$folder/.packages") == "$wanted" ]]; then return; fi
  "${PYTHON:-python3}" -m venv "$folder"
  # "+cpu" wheels are small; where pip's index has none, the plain one brings gigabytes of CUDA.
  "$python" -m pip install --quiet "$torch+cpu" || "$python" -m pip install --quiet "$torch"
  "$python" -m pip install --quiet "${packages[@]}"
  if ((${#alone[@]})); then "$python" -m pip install --quiet --no-deps "${alone[@]}"; fi
  printf '%s' "$wanted" >"$folder/.packages"
}
