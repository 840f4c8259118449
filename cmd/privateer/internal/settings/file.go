package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// fileBytesMax bounds a configuration file.
const fileBytesMax = 1 << 20

// A file is a configuration file: one section per command, one key per flag.
type file struct {
	path     string
	sections map[string]map[string]entry
}

// An entry is a value, a string or a list of strings, and its line.
type entry struct {
	value any
	line  int
}

// find returns a value and where it stands. f may be nil.
func (f *file) find(section, key string) (value any, from string) {
	if f == nil {
		return nil, ""
	}
	e, ok := f.sections[section][key]
	if !ok {
		return nil, ""
	}
	return e.value, fmt.Sprintf("%s:%d", f.path, e.line)
}

// read reads a file whose sections and keys must be among known.
func read(path string, known map[string][]string) (*file, error) {
	text, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // as some editors begin a file
	if !utf8.Valid(text) {
		line := 1 + bytes.Count(text[:invalid(text)], []byte("\n"))
		return nil, fmt.Errorf("%s:%d: is not UTF-8: save the file as UTF-8; other bytes can be given on the command line", path, line)
	}
	doc, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %s", path, yamlError(err))
	}
	f := &file{path: path, sections: make(map[string]map[string]entry)}
	if len(doc.Docs) > 1 {
		return nil, fmt.Errorf("%s: holds %d documents; only one is read", path, len(doc.Docs))
	}
	if len(doc.Docs) == 0 || doc.Docs[0].Body == nil {
		return f, nil // empty, or comments only
	}
	sections, err := f.pairs(doc.Docs[0].Body, "the file must hold sections, such as \"broker:\"")
	if err != nil {
		return nil, err
	}
	for _, s := range sections {
		if err := f.section(s, known); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// invalid is where a text ceases to be UTF-8.
func invalid(text []byte) (at int) {
	for at < len(text) {
		r, n := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return at
}

func (f *file) section(s *ast.MappingValueNode, known map[string][]string) error {
	name := s.Key.GetToken().Value
	keys, ok := known[name]
	if !ok {
		return f.fail(s, "unknown section %s%s", name, Suggest(name, slices.Sorted(maps.Keys(known))))
	}
	f.sections[name] = make(map[string]entry)
	if s.Value.Type() == ast.NullType { // a section with nothing in it
		return nil
	}
	pairs, err := f.pairs(s.Value, "section "+name+" must hold keys, such as \"log-level: info\"")
	if err != nil {
		return err
	}
	for _, p := range pairs {
		key := p.Key.GetToken().Value
		if !slices.Contains(keys, key) {
			return f.fail(p, "section %s has no key %s%s", name, key, Suggest(key, keys))
		}
		value, err := f.value(p.Value, name+": "+key)
		if err != nil {
			return err
		}
		f.sections[name][key] = entry{value, p.Key.GetToken().Position.Line}
	}
	return nil
}

// pairs returns the keys and values of a mapping; mustBe says what else to write.
func (f *file) pairs(n ast.Node, mustBe string) ([]*ast.MappingValueNode, error) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, nil
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, nil
	}
	return nil, f.fail(n, "%s", mustBe)
}

// value reads a scalar, or a list of them, as the text that a flag would have.
func (f *file) value(n ast.Node, key string) (any, error) {
	if seq, ok := n.(*ast.SequenceNode); ok {
		list := make([]any, 0, len(seq.Values))
		for _, item := range seq.Values {
			s, err := f.scalar(item, key)
			if err != nil {
				return nil, err
			}
			list = append(list, s)
		}
		return list, nil
	}
	return f.scalar(n, key)
}

func (f *file) scalar(n ast.Node, key string) (string, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, nil
	case *ast.NullNode:
		return "", f.fail(n, "%s has no value", key)
	}
	return "", f.fail(n, "%s must be a plain value or a list of them", key)
}

func (f *file) fail(n ast.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", f.path, n.GetToken().Position.Line, fmt.Sprintf(format, args...))
}

// yamlError is goccy's message without its picture of the file.
func yamlError(err error) string {
	line, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
	return line
}

func readBounded(path string) ([]byte, error) {
	r, err := os.Open(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, fmt.Errorf("config file %s: %w: name one that is there and that this user can read, or leave --config out", path, err)
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, fileBytesMax+1))
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err // the path has been said
		}
		return nil, fmt.Errorf("config file %s: cannot be read: %w: name a file in YAML", path, err)
	}
	if len(text) > fileBytesMax {
		return nil, fmt.Errorf("config file %s: larger than 1 MiB", path)
	}
	return text, nil
}
