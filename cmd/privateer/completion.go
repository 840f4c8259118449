package main

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	common

	Shell string `arg:"" enum:"bash, zsh, fish" help:"Shell to complete in: ${enum}."`
}

// Help is the detailed help.
func (*completionCommand) Help() string {
	return `It prints a script, made of this very binary's commands and flags. To load it now and in each new shell:

bash: add "source <(privateer completion bash)" to ~/.bashrc.

zsh: privateer completion zsh > "${fpath[1]}/_privateer"

fish: privateer completion fish > ~/.config/fish/completions/privateer.fish`
}

// Run prints the script.
func (c *completionCommand) Run(ctx *kong.Context) error {
	script := map[string]func(string, []completed) string{
		"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell]
	if _, err := os.Stdout.WriteString(script(ctx.Model.Name, completions(ctx.Model))); err != nil {
		return fmt.Errorf("cannot write to stdout: %w", err)
	}
	return nil
}

// A completed is what can be completed of one command.
type completed struct {
	name, help string
	words      []string // its first argument may be one of them
	flags      []completedFlag
}

type completedFlag struct {
	name, help string
	takesValue bool
	values     []string // known ones
	file       bool     // the value is a file's name
}

// completions reads them from the command line's model.
func completions(app *kong.Application) []completed {
	var list []completed
	for _, node := range app.Leaves(true) {
		c := completed{name: node.Name, help: brief(node.Help)}
		if len(node.Positional) > 0 && node.Positional[0].Enum != "" {
			c.words = node.Positional[0].EnumSlice()
		}
		for _, f := range node.Flags {
			if f.Hidden {
				continue
			}
			flag := completedFlag{name: f.Name, help: brief(f.Help), takesValue: !f.IsBool(), file: f.PlaceHolder == "FILE"}
			if f.Enum != "" {
				flag.values = f.EnumSlice()
			}
			c.flags = append(c.flags, flag)
		}
		c.flags = append(c.flags, completedFlag{name: "help", help: "Show the help"})
		list = append(list, c)
	}
	return list
}

var sentenceEnd = regexp.MustCompile(`[.:](\s|$)`)

// brief is the first sentence, or what stands before its colon.
func brief(help string) string {
	if at := sentenceEnd.FindStringIndex(help); at != nil {
		help = help[:at[0]]
	}
	return help
}

func bashCompletion(program string, commands []completed) string {
	var names []string
	var values, words strings.Builder
	for _, c := range commands {
		names = append(names, c.name)
		open, all := []string{}, append([]string(nil), c.words...)
		for _, f := range c.flags {
			all = append(all, "--"+f.name)
			key := `"` + c.name + " --" + f.name + `"`
			switch {
			case !f.takesValue:
			case f.file:
				fmt.Fprintf(&values, "    %s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", key)
			case len(f.values) > 0:
				fmt.Fprintf(&values, "    %s) COMPREPLY=($(compgen -W \"%s\" -- \"$cur\")); return ;;\n", key, strings.Join(f.values, " "))
			default:
				open = append(open, key)
			}
		}
		if len(open) > 0 {
			fmt.Fprintf(&values, "    %s) return ;;\n", strings.Join(open, "|"))
		}
		fmt.Fprintf(&words, "    %s) words=\"%s\" ;;\n", c.name, strings.Join(all, " "))
	}
	return fmt.Sprintf(`# bash completion of %[1]s. Load it with: source <(%[1]s completion bash)
_%[1]s() {
  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" i words=""
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} == "--" ]]; then # what follows is another program's
      COMPREPLY=($(compgen -o default -- "$cur"))
      return
    fi
  done
  if [[ $cur == "=" ]]; then # bash takes --flag=value apart
    cur=""
  elif [[ $prev == "=" ]]; then
    prev="${COMP_WORDS[COMP_CWORD-2]}"
  fi
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "%[2]s --help" -- "$cur"))
    return
  fi
  case "${COMP_WORDS[1]} $prev" in
%[3]s  esac
  case "${COMP_WORDS[1]}" in
%[4]s  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _%[1]s %[1]s
`, program, strings.Join(names, " "), values.String(), words.String())
}

func zshCompletion(program string, commands []completed) string {
	var names, cases strings.Builder
	escape := strings.NewReplacer(`'`, `'\''`, `[`, `\[`, `]`, `\]`, `:`, `\:`)
	for _, c := range commands {
		fmt.Fprintf(&names, "    '%s:%s'\n", c.name, escape.Replace(c.help))
		fmt.Fprintf(&cases, "    %s)\n      _arguments", c.name)
		for _, f := range c.flags {
			spec := "--" + f.name
			if f.takesValue {
				spec = "*" + spec + "=" // some may be given more than once
			}
			spec += "[" + escape.Replace(f.help) + "]"
			switch {
			case f.file:
				spec += ":file:_files"
			case len(f.values) > 0:
				spec += ":" + f.name + ":(" + strings.Join(f.values, " ") + ")"
			case f.takesValue:
				spec += ":" + f.name + ": "
			}
			fmt.Fprintf(&cases, " \\\n        '%s'", spec)
		}
		if len(c.words) > 0 {
			fmt.Fprintf(&cases, " \\\n        '1:%s:(%s)'", c.name, strings.Join(c.words, " "))
		}
		cases.WriteString(" \\\n        '*: : '\n      ;;\n")
	}
	return fmt.Sprintf(`#compdef %[1]s
# zsh completion of %[1]s: %[1]s completion zsh > "${fpath[1]}/_%[1]s"
_%[1]s() {
  local -a commands
  commands=(
%[2]s  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
%[3]s  esac
}
if [[ $funcstack[1] == _%[1]s ]]; then
  _%[1]s "$@"
else
  compdef _%[1]s %[1]s
fi
`, program, names.String(), cases.String())
}

func fishCompletion(program string, commands []completed) string {
	var b strings.Builder
	quote := func(s string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
	}
	fmt.Fprintf(&b, "# fish completion of %[1]s: %[1]s completion fish > ~/.config/fish/completions/%[1]s.fish\n", program)
	fmt.Fprintf(&b, "complete -c %s -f\n", program)
	for _, c := range commands {
		fmt.Fprintf(&b, "complete -c %s -n __fish_use_subcommand -a %s -d %s\n", program, c.name, quote(c.help))
	}
	for _, c := range commands {
		in := fmt.Sprintf("complete -c %s -n %s", program, quote("__fish_seen_subcommand_from "+c.name))
		if len(c.words) > 0 {
			fmt.Fprintf(&b, "%s -a %s\n", in, quote(strings.Join(c.words, " ")))
		}
		for _, f := range c.flags {
			value := ""
			switch {
			case f.file:
				value = " -r -F"
			case len(f.values) > 0:
				value = " -x -a " + quote(strings.Join(f.values, " "))
			case f.takesValue:
				value = " -x"
			}
			fmt.Fprintf(&b, "%s -l %s%s -d %s\n", in, f.name, value, quote(cmp.Or(f.help, f.name)))
		}
	}
	return b.String()
}
