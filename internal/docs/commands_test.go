package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// firstWords are what a command begins with.
var firstWords = regexp.MustCompile(`^(?:(?:make|privateer|\./bin/privateer|go|gofmt|python3|pip|promtool|cd|git|curl|docker|kill|kubectl|systemctl|sh|bash|echo|export|sudo|apt-get|apk|brew|tar|cp|printf|sleep|(?:\./)?scripts/[\w-]+)(?: |$)|[A-Z_]+=\S+ [a-z./])`)

// isCommand tells whether a line or a span is something to type.
func isCommand(s string) bool { return firstWords.MatchString(s) }

var chain = regexp.MustCompile(` *(?:&&|\|\||;|\|) *`)

// commandProblem is what is wrong with a command that is not run: whatever of it
// is the project's own must exist.
func (f *facts) commandProblem(line string) string {
	dir := "."
	for _, part := range chain.Split(strings.TrimRight(line, " &"), -1) {
		words := strings.Fields(part)
		for len(words) > 0 && strings.Contains(words[0], "=") {
			words = words[1:] // of the environment
		}
		if len(words) == 0 {
			continue
		}
		why := ""
		switch words[0] {
		case "cd":
			dir = path.Join(dir, words[len(words)-1])
			if !f.files[dir] && !strings.Contains(line, "git clone") {
				why = "no directory " + dir
			}
		case "make":
			why = f.makeProblem(words[1:])
		case "privateer", "./bin/privateer":
			why = f.privateerProblem(words[1:])
		case "go":
			why = f.goProblem(dir, words[1:])
		case "bash", "sh", "python3":
			if len(words) > 1 && strings.Contains(words[1], "/") && !f.files[path.Clean(words[1])] {
				why = "no file " + words[1]
			}
		default:
			if strings.Contains(words[0], "scripts/") && !f.files[path.Clean(words[0])] {
				why = "no file " + words[0]
			}
		}
		if why != "" {
			return why
		}
	}
	return ""
}

func (f *facts) makeProblem(words []string) string {
	for _, w := range words {
		if m := assignment.FindStringSubmatch(w); m != nil {
			if !f.variables[m[1]] {
				return "the Makefile has no variable " + m[1]
			}
		} else if !strings.HasPrefix(w, "-") && !f.targets[w] {
			return "the Makefile has no target " + w
		}
	}
	return ""
}

// privateerProblem looks at the command and its flags, up to "--".
func (f *facts) privateerProblem(words []string) string {
	if len(words) == 0 || strings.HasPrefix(words[0], "--help") || words[0] == "help" {
		return ""
	}
	flags := f.flags[words[0]]
	if flags == nil && words[0] != "…" && words[0] != "COMMAND" {
		return "privateer has no command " + words[0]
	}
	for _, w := range words[1:] {
		if w == "--" {
			break
		}
		name, _, _ := strings.Cut(strings.TrimLeft(w, "["), "=")
		if name, ok := strings.CutPrefix(strings.TrimRight(name, "],"), "--"); ok && !flags[name] {
			return "privateer " + words[0] + " has no flag --" + name
		}
	}
	return ""
}

// goProblem looks at the package of go run and go test, at what is to be run in
// it, and at the program's flags.
func (f *facts) goProblem(dir string, words []string) string {
	if len(words) < 2 || words[0] != "run" && words[0] != "test" && words[0] != "build" && words[0] != "vet" {
		return ""
	}
	pkg := ""
	value := map[string]string{}
	for i, w := range words[1:] {
		switch {
		case pkg == "" && (w == "." || strings.HasPrefix(w, "./")):
			pkg = path.Join(dir, strings.TrimSuffix(w, "/..."))
		case strings.HasPrefix(w, "-") && i+2 < len(words):
			value[strings.TrimLeft(w, "-")] = words[i+2]
		case strings.HasPrefix(w, "-"):
			value[strings.TrimLeft(w, "-")] = ""
		}
	}
	if pkg == "" {
		return "" // a package of others
	}
	if f.words[pkg] == "" && !f.files[pkg] {
		return "there is no package " + pkg
	}
	if words[0] == "run" {
		return f.programProblem(pkg, words, value)
	}
	for _, flag := range []string{"run", "bench", "fuzz"} {
		if want := value[flag]; want != "" {
			if why := f.testProblem(pkg, want); why != "" {
				return why
			}
		}
	}
	return ""
}

// programProblem: a program's own flags and words must stand in its source.
func (f *facts) programProblem(pkg string, words []string, value map[string]string) string {
	for flag := range value {
		if !strings.Contains(f.words[pkg], `"`+flag+`"`) {
			return "the program in " + pkg + " has no flag -" + flag
		}
	}
	if pkg != "internal/sim/mutants" {
		return ""
	}
	for _, w := range words[2:] {
		if !strings.HasPrefix(w, "-") && !f.files[pkg+"/testdata/"+w+".txtar"] {
			return "there is no mutant " + w
		}
	}
	return ""
}

// testProblem: a test, benchmark or fuzz target must match the pattern; behind a
// slash stands the name of a script.
func (f *facts) testProblem(pkg, pattern string) string {
	name, script, _ := strings.Cut(strings.Trim(pattern, `'"`), "/")
	if name == "Name" || name == "^$" {
		return "" // stands for any, or for none
	}
	re, err := regexp.Compile(name)
	if err != nil {
		return err.Error()
	}
	for dir, tests := range f.tests {
		if dir != pkg && !strings.HasPrefix(dir, pkg+"/") {
			continue
		}
		for test := range tests {
			if !re.MatchString(test) {
				continue
			}
			if files, _ := filepath.Glob(filepath.Join(f.root, dir, "testdata", script+"*")); script == "" || len(files) > 0 {
				return ""
			}
			if _, err := os.Stat(filepath.Join(f.root, dir, "testdata", "script", script+".txtar")); err == nil {
				return ""
			}
		}
	}
	return "no test in " + pkg + " matches " + pattern
}
