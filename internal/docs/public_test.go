package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// publicPackages are what users import, from the module's root.
var publicPackages = []string{"broker", "brokertest", "client", "protocol", "simtest", "tracing", "transport/libzmq", "worker"}

// TestPublicTypesAreWhole: what is exported names no type of an internal package, which
// go doc shows nobody: no alias, no field of a struct, no method of an interface, no
// argument or result.
func TestPublicTypesAreWhole(t *testing.T) {
	looked := 0
	for _, dir := range publicPackages {
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files, %v", dir, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			internal := internalImports(file)
			for _, node := range exported(file) {
				looked++
				ast.Inspect(node, func(n ast.Node) bool {
					if s, ok := n.(*ast.SelectorExpr); ok {
						if pkg, ok := s.X.(*ast.Ident); ok && internal[pkg.Name] {
							t.Errorf("%s: %s.%s is internal, and shown", set.Position(n.Pos()), pkg.Name, s.Sel.Name)
						}
					}
					return true
				})
			}
		}
	}
	if looked < 100 {
		t.Errorf("only %d declarations were looked at", looked)
	}
}

// internalImports are the names of a file's internal imports.
func internalImports(file *ast.File) map[string]bool {
	names := map[string]bool{}
	for _, i := range file.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		if strings.Contains(path, "/internal/") {
			name := path[strings.LastIndexByte(path, '/')+1:]
			if i.Name != nil {
				name = i.Name.Name
			}
			names[name] = true
		}
	}
	return names
}

// exported are what a file shows: types, without the fields and methods that it hides,
// and the signatures of functions.
func exported(file *ast.File) (nodes []ast.Node) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && (d.Recv == nil || exportedReceiver(d.Recv)) {
				nodes = append(nodes, d.Type)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				t, ok := s.(*ast.TypeSpec)
				if !ok || !t.Name.IsExported() {
					continue
				}
				switch x := t.Type.(type) {
				case *ast.StructType:
					for _, f := range x.Fields.List {
						if len(f.Names) == 0 || f.Names[0].IsExported() {
							nodes = append(nodes, f.Type)
						}
					}
				default:
					nodes = append(nodes, x)
				}
			}
		}
	}
	return nodes
}

func exportedReceiver(r *ast.FieldList) bool {
	name := r.List[0].Type
	if p, ok := name.(*ast.StarExpr); ok {
		name = p.X
	}
	id, ok := name.(*ast.Ident)
	return ok && id.IsExported()
}
