# SPDX-License-Identifier: Apache-2.0
# zsh_complete.zsh FOLDER LINE: shows what zsh offers at the end of LINE with the completions of FOLDER, between other
# things that a terminal is sent.  Completion needs a terminal, so the shell under test runs in a pseudo terminal.
emulate -L zsh
zmodload zsh/zpty
zpty -b shell zsh -f -i
put() { zpty -w shell "$1" }
put 'PS1=; stty -echo'
put "fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D; bindkey '^I' complete-word; LISTMAX=0"
# What would be offered is printed line by line as well.
put 'compadd() { local -a found; builtin compadd -O found "$@"; print -rl -- "" $found; builtin compadd "$@" }'
put "print -r -- RE''ADY"
read_until() {
  local text='' piece
  local -i tries=0
  while [[ $text != *$1* ]]; do
    zpty -r -t shell piece && text+=$piece || { sleep 0.05; (( ++tries > 600 )) && return 1 }
  done
  print -r -- $text
}
read_until READY >/dev/null || exit 1
zpty -w -n shell "$2"$'\t'
# Typed behind the completion, and so run when it has ended.
zpty -w -n shell $'\C-u'
put "print -r -- DO''NE"
read_until DONE
zpty -d shell
