# Sourced by the scripts beside it: a virtual environment of its own in a temporary folder, which goes
# when the script ends. Works in Git Bash on Windows, too.
export PIP_QUIET=2 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 MPLBACKEND=agg PYTHONUTF8=1

# bin_of FOLDER: where a virtual environment has its programs.
bin_of() {
  if [[ -d $1/Scripts ]]; then echo "$1/Scripts"; else echo "$1/bin"; fi
}

python=python3
[[ ${OS:-} == Windows_NT ]] && python=python
temporary=$(mktemp -d)
trap 'rm -rf "$temporary" || true' EXIT # Windows may hold a file; that is no failure of the tests
"$python" -m venv "$temporary/venv"
source "$(bin_of "$temporary/venv")/activate"
