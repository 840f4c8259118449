package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// facts are what documents can be held against.
type facts struct {
	root      string
	files     map[string]bool            // and directories, from the root, with slashes
	targets   map[string]bool            // of the Makefile
	variables map[string]bool            // of the Makefile
	flags     map[string]map[string]bool // of each command of privateer, without the dashes
	metrics   map[string]bool
	names     map[string]bool            // Go: Name, Type.Member, package.Name, package.Type.Member
	packages  map[string]bool            // Go: the public ones, by name
	tests     map[string]map[string]bool // Test…, Fuzz… and Benchmark… by directory
	words     map[string]string          // the Go source of each directory, to look for literals
}

// skipped are directories that are not of the repository.
var skipped = map[string]bool{".git": true, ".tools": true, "bin": true, "__pycache__": true, "node_modules": true}

// learn finds the facts out: from the files under root, and from binary's help.
func learn(root, binary string) (*facts, error) {
	f := &facts{root: root, files: map[string]bool{}, targets: map[string]bool{}, variables: map[string]bool{},
		flags: map[string]map[string]bool{}, metrics: map[string]bool{}, names: map[string]bool{}, packages: map[string]bool{},
		tests: map[string]map[string]bool{}, words: map[string]string{}}
	err := filepath.WalkDir(root, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && skipped[e.Name()] {
			return filepath.SkipDir
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		f.files[name] = true
		if strings.HasSuffix(name, ".go") && !strings.Contains(name, "/testdata/") {
			return f.learnGo(name)
		}
		if name == "internal/adminapi/openapi.json" {
			b, err := os.ReadFile(file)
			f.words[path.Dir(name)] += string(b)
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		return nil, err
	}
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllSubmatch(makefile, -1) {
		f.targets[string(m[1])] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+) *\?=`).FindAllSubmatch(makefile, -1) {
		f.variables[string(m[1])] = true
	}
	return f, f.learnFlags(binary)
}

var (
	helpCommand = regexp.MustCompile(`(?m)^  ([a-z-]+)  +\S`)
	helpFlag    = regexp.MustCompile(`(?m)^ +(?:-[a-z], )?--([a-z][a-z-]*)`)
)

func (f *facts) learnFlags(binary string) error {
	help, err := exec.Command(binary, "--help").Output()
	if err != nil {
		return fmt.Errorf("%s --help: %w", binary, err)
	}
	_, list, _ := strings.Cut(string(help), "Commands:")
	for _, m := range helpCommand.FindAllStringSubmatch(list, -1) {
		of, err := exec.Command(binary, m[1], "--help").Output()
		if err != nil {
			return fmt.Errorf("%s %s --help: %w", binary, m[1], err)
		}
		f.flags[m[1]] = map[string]bool{}
		for _, flag := range helpFlag.FindAllStringSubmatch(string(of), -1) {
			f.flags[m[1]][flag[1]] = true
		}
	}
	if len(f.flags) < 5 || !f.flags["broker"]["max-queue"] {
		return fmt.Errorf("the help of %s is not understood: %v", binary, f.flags)
	}
	return nil
}

var hump = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// kebab is MaxQueue as max-queue.
func kebab(name string) string { return strings.ToLower(hump.ReplaceAllString(name, "$1-$2")) }

// learnGo notes what a Go file declares.
func (f *facts) learnGo(name string) error {
	source, err := os.ReadFile(filepath.Join(f.root, name))
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir, pkg := path.Dir(name), strings.TrimSuffix(file.Name.Name, "_test")
	f.words[dir] += string(source)
	if !strings.Contains(dir, "/") && dir != "." && pkg != "main" {
		f.packages[pkg] = true
	}
	ast.Inspect(file, func(n ast.Node) bool {
		field, ok := n.(*ast.Field)
		if ok && field.Tag != nil && len(field.Names) == 1 && strings.Contains(field.Tag.Value, `help:"`) {
			f.words[dir] += ` "` + kebab(field.Names[0].Name) + `"` // a flag that kong names after its field
		}
		return true
	})
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			f.learnFunc(d, dir, pkg)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				f.learnSpec(s, pkg)
			}
		}
	}
	if pkg == "broker" {
		ast.Inspect(file, f.learnMetric)
	}
	return nil
}

func (f *facts) learnFunc(d *ast.FuncDecl, dir, pkg string) {
	if d.Recv == nil {
		f.name(pkg, d.Name.Name)
		if regexp.MustCompile(`^(Test|Fuzz|Benchmark|Example)`).MatchString(d.Name.Name) {
			if f.tests[dir] == nil {
				f.tests[dir] = map[string]bool{}
			}
			f.tests[dir][d.Name.Name] = true
		}
		return
	}
	of := d.Recv.List[0].Type
	if s, ok := of.(*ast.StarExpr); ok {
		of = s.X
	}
	if g, ok := of.(*ast.IndexExpr); ok {
		of = g.X
	}
	if id, ok := of.(*ast.Ident); ok {
		f.name(pkg, id.Name+"."+d.Name.Name)
	}
}

func (f *facts) learnSpec(s ast.Spec, pkg string) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, n := range s.Names {
			f.name(pkg, n.Name)
		}
	case *ast.TypeSpec:
		f.name(pkg, s.Name.Name)
		var members *ast.FieldList
		switch t := s.Type.(type) {
		case *ast.StructType:
			members = t.Fields
		case *ast.InterfaceType:
			members = t.Methods
		default:
			return
		}
		for _, m := range members.List {
			for _, n := range m.Names {
				f.name(pkg, s.Name.Name+"."+n.Name)
			}
		}
	}
}

func (f *facts) name(pkg, name string) {
	f.names[name] = true
	f.names[pkg+"."+name] = true
}

// learnMetric notes the name of a metric: the first of two texts that a call
// is given, of which the second explains it.
func (f *facts) learnMetric(n ast.Node) bool {
	if l, ok := n.(*ast.BasicLit); ok && len(text(l)) > len("privateer_") && strings.HasPrefix(text(l), "privateer_") {
		f.metrics[text(l)] = true // its whole name
	}
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) < 2 {
		return true
	}
	name, help := text(call.Args[0]), text(call.Args[1])
	if strings.Contains(help, " ") && regexp.MustCompile(`^[a-z][a-z_]*$`).MatchString(name) {
		f.metrics["privateer_"+name] = true
	}
	return true
}

// text is the value of a literal, "" of anything else.
func text(e ast.Expr) string {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return ""
	}
	s, err := strconv.Unquote(l.Value)
	if err != nil {
		return ""
	}
	return s
}
