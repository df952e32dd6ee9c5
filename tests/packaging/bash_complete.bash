# SPDX-License-Identifier: Apache-2.0
# bash_complete.bash FILE LINE: what bash offers at the end of LINE by the completion in FILE, one a line.
source /usr/share/bash-completion/bash_completion
source "$1"
COMP_LINE=$2
COMP_POINT=${#COMP_LINE}
# As readline cuts a line: at blanks and at colons, which are words themselves.
read -ra COMP_WORDS <<<"${COMP_LINE//:/ : }"
[[ $COMP_LINE != *' ' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; }  # of readline, which is not there
_culvert
printf '%s\n' "${COMPREPLY[@]}"
