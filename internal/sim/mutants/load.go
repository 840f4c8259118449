package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// load reads the faults with those names, or all, in the order of their names.
func load(names []string) ([]mutant, error) {
	files, err := filepath.Glob("internal/sim/mutants/testdata/*.txtar")
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no faults found (run it in the module's folder): %w", err)
	}
	var all []mutant
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".txtar")
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		m, err := parse(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		m.name = name
		all = append(all, m)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no fault is called %s", strings.Join(names, ", "))
	}
	return all, nil
}

func parse(path string) (m mutant, err error) {
	a, err := txtar.ParseFile(path)
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(a.Comment)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "seed":
			if m.seed, err = strconv.ParseUint(value, 10, 64); err != nil {
				return m, err
			}
		case "test":
			m.pkg = value
		default:
			m.why += line
		}
	}
	for _, f := range a.Files {
		switch f.Name {
		case "file":
			m.file = strings.TrimSpace(string(f.Data))
		case "old":
			m.before = strings.TrimSuffix(string(f.Data), "\n")
		case "new":
			m.after = strings.TrimSuffix(string(f.Data), "\n")
		default:
			return m, fmt.Errorf("unknown section %q", f.Name)
		}
	}
	if m.why == "" || m.file == "" || m.before == "" || m.before == m.after || m.seed == 0 && m.pkg == "" {
		return m, fmt.Errorf("it needs a sentence, a seed or a test, and the sections file, old and new")
	}
	return m, nil
}

// digest is that of everything whose change makes it worth while to look for
// all faults again.
func digest() (string, error) {
	h := sha256.New()
	for _, dir := range []string{"protocol", "internal/core", "internal/workercore", "internal/clientcore", "internal/flat", "internal/drive", "internal/link",
		"internal/sim", "broker"} {
		var files []string
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if ext := filepath.Ext(path); err == nil && (ext == ".go" || ext == ".txtar") {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return "", err
		}
		slices.Sort(files)
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(h, "%s %d\n%s", filepath.ToSlash(f), len(text), text)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}
