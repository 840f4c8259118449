package docs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
)

// A kind is what a block is, and so how it is checked.
type kind int

const (
	unknown  kind = iota
	program       // Go with a package clause: compiled; package main is run
	fragment      // Go without: compiled
	vector        // an example of protocol/testdata/vectors.json, compared by package protocol's tests
	data          // JSON or YAML: it must parse
	commands      // typed into a shell: run
	console       // commands behind "$ ", and what they print
	fileMap       // paths, and what each is for
	picture       // lines and arrows
	output        // what a command of this document prints
)

var (
	drawn   = regexp.MustCompile(`[─-╿◄►▲▼→←⇒]`)
	frames  = regexp.MustCompile(`^\S.*\[[^\]]+\]`)
	mapLine = regexp.MustCompile(`^ {0,2}((?:[\w.-]+(?:/[\w.-]+)*/? )*[\w.-]+(?:/[\w.-]+)+|(?:[\w.-]+/ ?)+)(?:  |\.? |$)`)
	comment = regexp.MustCompile(`(?:^|\s+)#\s.*$`)
)

// kind tells by the info string, and without one by the lines.
func (b *block) kind() kind {
	language, _, _ := strings.Cut(b.info, " ")
	switch language {
	case "go":
		if regexp.MustCompile(`(?m)^package \w+`).MatchString(strings.Join(b.lines, "\n")) {
			return program
		}
		return fragment
	case "hex":
		return vector
	case "json", "yaml", "yml":
		return data
	case "", "sh", "bash", "shell", "console", "text":
	default:
		return unknown
	}
	if strings.HasPrefix(b.lines[0], "$ ") {
		return console
	}
	if typed := b.typed(); len(typed) > 0 {
		for _, c := range typed {
			if !isCommand(c.text) {
				return unknown
			}
		}
		return commands
	}
	all := strings.Join(b.lines, "\n")
	switch {
	case b.isMap():
		return fileMap
	case drawn.MatchString(all):
		return picture
	case frames.MatchString(b.lines[0]) && !strings.Contains(b.lines[0], "="):
		return picture
	}
	return output
}

// typed returns the commands of a block whose first one is a command, without
// comments, a command over several lines as one.
func (b *block) typed() (out []span) {
	joined := ""
	for i, line := range b.lines {
		line = strings.TrimSpace(comment.ReplaceAllString(line, ""))
		if rest, more := strings.CutSuffix(line, `\`); more {
			joined += rest
			continue
		}
		line, joined = joined+line, ""
		if line == "" {
			continue
		}
		if len(out) == 0 && !isCommand(line) {
			return nil
		}
		out = append(out, span{b.line + i, line})
	}
	return out
}

// isMap: every line that is not indented far begins with a path.
func (b *block) isMap() bool {
	n := 0
	for _, line := range b.lines {
		if strings.HasPrefix(line, "   ") {
			continue
		}
		if !mapLine.MatchString(line) {
			return false
		}
		n++
	}
	return n > 1
}

// still checks a block of which nothing is run.
func (f *facts) still(d *document, b *block) (wrong []string) {
	switch b.kind() {
	case vector:
		_, name, _ := strings.Cut(b.info, " ")
		vectors, err := os.ReadFile(filepath.Join(f.root, "protocol/testdata/vectors.json"))
		if err != nil || !strings.Contains(string(vectors), `"name": "`+name+`"`) || !f.tests["protocol"]["TestDocumentedExamples"] {
			wrong = append(wrong, d.problem(b.line, "no test compares the example %q", name))
		}
	case data:
		text, err := []byte(strings.Join(b.lines, "\n")), error(nil)
		if strings.HasPrefix(b.info, "json") {
			if !json.Valid(text) {
				err = fmt.Errorf("this is no JSON")
			}
		} else {
			err = yaml.Unmarshal(text, new(any))
		}
		if err != nil {
			wrong = append(wrong, d.problem(b.line, "%v", err))
		}
		if why := f.metricProblem(string(text)); why != "" {
			wrong = append(wrong, d.problem(b.line, "%s", why))
		}
	case fileMap:
		for i, line := range b.lines {
			m := mapLine.FindStringSubmatch(line)
			if strings.HasPrefix(line, "   ") || m == nil {
				continue
			}
			for _, name := range strings.Fields(m[1]) {
				if why := f.pathProblem(d, name); why != "" {
					wrong = append(wrong, d.problem(b.line+i, "%s: %s", name, why))
				}
			}
		}
	case unknown:
		wrong = append(wrong, d.problem(b.line, "this block is neither run, compiled nor recognised: is a command misspelled? (%s)", b.lines[0]))
	}
	return wrong
}

var (
	uuids   = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	digests = regexp.MustCompile(`\b[0-9a-f]{16,64}\b`)
	numbers = regexp.MustCompile(`\d[\d.,:]*(?:ns|µs|ms|[smh])?\b`)
)

// shape is what stays the same of a line from run to run.
func shape(line string) string {
	line = uuids.ReplaceAllString(line, "ID")
	line = digests.ReplaceAllString(line, "HEX")
	line = numbers.ReplaceAllString(line, "N")
	return strings.Join(strings.Fields(line), " ")
}
