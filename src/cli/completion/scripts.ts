/**
 * What shells load to complete the words of a command line. Each script asks the program, which
 * prints a line `none`, `files` or `folders`, and then each candidate with its description after a
 * tab.
 */

/**
 * Bash breaks words at `=` and `:` and replaces the last part only, but the program gets words as
 * it will get them later.
 */
const BASH = `# bash completion of ostrata: source this, or put it into
# ~/.local/share/bash-completion/completions/ostrata
_ostrata() {
  local cur=\${COMP_WORDS[COMP_CWORD]} line=\${COMP_LINE:0:COMP_POINT}
  local -a words
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  local word=\${words[-1]} names value description
  [[ $cur == [=:] ]] && cur=
  local head=\${word%"$cur"}
  COMPREPLY=()
  {
    read -r names
    while IFS=$'\\t' read -r value description; do
      [[ $value == *[:/] ]] && compopt -o nospace
      COMPREPLY+=("\${value#"$head"}")
    done
  } < <("\${words[0]}" complete -- "\${words[@]:1}" 2>/dev/null)
  case $names in
    files) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    folders) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
  esac
}
complete -F _ostrata ostrata`;

const ZSH = `#compdef ostrata
# zsh completion of ostrata: put this into a folder of $fpath under the name _ostrata
_ostrata() {
  local -a lines open closed open_texts closed_texts
  local line value text
  local -a line_words=("\${(@Q)words[2,CURRENT-1]}" "$PREFIX")
  lines=("\${(@f)$("\${(Q)words[1]}" complete -- "\${line_words[@]}" 2>/dev/null)}")
  for line in "\${(@)lines[2,-1]}"; do
    value=\${line%%$'\\t'*} text=\${line#*$'\\t'}
    text="$value\${text:+  -- $text}"
    if [[ $value == *[:/] ]]; then
      open+=("$value") open_texts+=("$text")
    else
      closed+=("$value") closed_texts+=("$text")
    fi
  done
  compadd -l -d closed_texts -a closed
  compadd -l -S '' -d open_texts -a open
  compset -P '*[=:]'
  case $lines[1] in
    files) _files ;;
    folders) _files -/ ;;
  esac
}
if [[ $funcstack[1] == _ostrata ]]; then
  _ostrata "$@"
else
  compdef _ostrata ostrata
fi`;

const FISH = `# fish completion of ostrata: put this into ~/.config/fish/completions/ostrata.fish
function __ostrata_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l lines ($words[1] complete -- $words[2..-1] "$word" 2>/dev/null)
    printf '%s\\n' $lines[2..-1]
    set -l head (string replace -r '[^=:]*$' '' -- "$word")
    set -l path (string replace -r '^.*[=:]' '' -- "$word")
    switch "$lines[1]"
        case files
            printf '%s\\n' $head(__fish_complete_path "$path")
        case folders
            printf '%s\\n' $head(__fish_complete_directories "$path" '')
    end
end
complete -c ostrata -f -a '(__ostrata_complete)'`;

export const SCRIPTS: ReadonlyMap<string, string> = new Map([
  ['bash', BASH],
  ['zsh', ZSH],
  ['fish', FISH],
]);
