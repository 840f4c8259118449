package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/privateer-mq/privateer/integration_test/chaos/history"
)

// used are the entries of the lists that a document needs.
var used sync.Map

// play runs what a document shows, from its first block to its last, and
// returns what went wrong.
func (f *facts) play(d *document, box string) (wrong []string) {
	s := &session{box: box, ports: map[string]string{}}
	defer func() {
		if err := s.end(); err != nil {
			wrong = append(wrong, d.path+": "+err.Error())
		}
	}()
	for i := range d.blocks {
		b := &d.blocks[i]
		if excepted(recognised, shape(b.lines[0]), f) {
			continue
		}
		switch b.kind() {
		case commands:
			for _, c := range b.typed() {
				if err := f.typed(s, c.text); err != nil {
					wrong = append(wrong, d.problem(c.line, "%v", err))
				}
			}
		case console:
			wrong = append(wrong, f.console(s, d, b)...)
		case program:
			if err := s.program(d, b); err != nil {
				wrong = append(wrong, d.problem(b.line, "%v", err))
			}
		case output:
			for i, line := range b.lines {
				if line != "" && !s.prints(line) && !isChaos(line) {
					wrong = append(wrong, d.problem(b.line+i, "no command above prints a line like this: %s", line))
				}
			}
		default:
			wrong = append(wrong, f.still(d, b)...)
		}
	}
	return wrong
}

// typed runs a command, or only verifies it where the list says so.
func (f *facts) typed(s *session, line string) error {
	if why := f.commandProblem(line); why != "" {
		return fmt.Errorf("%s: %s", line, why)
	}
	if excepted(notRun, line, f) {
		return nil
	}
	from := len(s.printed)
	if err := s.run(line); err != nil {
		return err
	}
	if want, ok := wants[line]; ok {
		used.Store(line, true)
		if got := strings.Join(s.printed[from:], "\n"); !regexp.MustCompile(want).MatchString(got) {
			return fmt.Errorf("%s: printed %q, want a match of %q", line, got, want)
		}
	}
	return nil
}

// console runs what stands behind "$ "; the lines below are what it prints.
func (f *facts) console(s *session, d *document, b *block) (wrong []string) {
	for i, line := range b.lines {
		typed, ok := strings.CutPrefix(line, "$ ")
		switch {
		case ok:
			if err := f.typed(s, typed); err != nil {
				wrong = append(wrong, d.problem(b.line+i, "%v", err))
			}
		case line != "" && line != "…" && !s.prints(line):
			wrong = append(wrong, d.problem(b.line+i, "no command above prints a line like this: %s", line))
		}
	}
	return wrong
}

// excepted tells whether a list has the line, and its other place holds.
func excepted(list []exception, line string, f *facts) bool {
	for _, e := range list {
		if e.line != strings.Join(strings.Fields(line), " ") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(f.root, e.file))
		if err != nil || !strings.Contains(string(b), e.proof) {
			return false // then it is run, or unknown, and fails
		}
		used.Store(e.line, true)
		return true
	}
	return false
}

// isChaos tells whether a line is the result of a chaos run, as of today.
func isChaos(line string) bool {
	m := regexp.MustCompile(`^chaos: scenario=(\S+) .* valid=true$`).FindStringSubmatch(line)
	if m == nil {
		return false
	}
	r := history.Result{Valid: true}
	r.Scenario = m[1]
	return shape(r.Line()) == shape(line)
}

// program compiles a Go program; if it is one that can be started it is, with
// the broker that runs instead of the usual one.
func (s *session) program(d *document, b *block) error {
	dir, err := source(s.box, d, b, strings.Join(b.lines, "\n"))
	if err != nil {
		return err
	}
	text := strings.Join(b.lines, "\n")
	if !strings.Contains(text, "package main") || s.front == "" {
		return s.foreground("go vet ./" + dir)
	}
	for config, endpoint := range map[string]string{"client.Config{": s.front, "worker.Config{": s.back} {
		if !strings.Contains(text, "Brokers:") {
			text = strings.ReplaceAll(text, config, config+`Brokers: []string{"tcp://`+endpoint+`"},`)
		}
	}
	text = port.ReplaceAllStringFunc(text, func(p string) string {
		if is := s.ports[p]; is != "" {
			return is
		}
		return p
	})
	if dir, err = source(s.box, d, b, text); err != nil {
		return err
	}
	if err := s.foreground("go build -o ./" + dir + "/program ./" + dir); err != nil {
		return err
	}
	if strings.Contains(text, ".Run(") {
		return s.background("./" + dir + "/program")
	}
	return s.foreground("./" + dir + "/program")
}

// source writes a Go block into a directory of its own. The compiler's
// complaints name the document.
func source(box string, d *document, b *block, text string) (dir string, err error) {
	dir = fmt.Sprintf("blocks/%s_%d", strings.NewReplacer("/", "_", ".", "_").Replace(d.path), b.line)
	if err := os.MkdirAll(filepath.Join(box, dir), 0o700); err != nil {
		return "", err
	}
	name := "block.go"
	if strings.Contains(text, `"testing"`) || strings.Contains(text, "*testing.T") {
		name = "block_test.go"
	}
	text = fmt.Sprintf("//line %s:%d\n%s\n", d.path, b.line, text)
	return dir, os.WriteFile(filepath.Join(box, dir, name), []byte(text), 0o600)
}
