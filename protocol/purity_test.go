package protocol

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The wire format and the three state machines decide and do nothing else:
// time, randomness and identity come in as arguments.
var (
	pureFolders = []string{".", "../internal/core", "../internal/workercore", "../internal/clientcore", "../internal/flat"}
	pureImports = strings.Fields(`bytes cmp container/heap container/list crypto/sha256 encoding/binary encoding/hex errors fmt hash
		hash/crc32 hash/fnv iter maps math math/bits slices sort strconv strings time unicode unicode/utf8
		github.com/cespare/xxhash/v2 github.com/privateer-mq/privateer/protocol github.com/privateer-mq/privateer/internal/flat`)
	clock = strings.Fields("Now Since Until After AfterFunc Sleep NewTimer NewTicker Tick")
)

func TestPurity(t *testing.T) {
	for _, folder := range pureFolders {
		all, _ := filepath.Glob(filepath.Join(folder, "*.go"))
		all = slices.DeleteFunc(all, func(f string) bool { return strings.HasSuffix(f, "_test.go") })
		if len(all) == 0 {
			t.Errorf("%s: no Go files; if it has moved, this test must move with it", folder)
		}
		for _, name := range all {
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range file.Imports {
				path, _ := strconv.Unquote(i.Path.Value)
				if !slices.Contains(pureImports, path) || path == "time" && i.Name != nil {
					t.Errorf("%s: imports %s", files.Position(i.Pos()), i.Path.Value)
				}
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					t.Errorf("%s: starts a goroutine", files.Position(n.Pos()))
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, n.Sel.Name) {
						t.Errorf("%s: reads the clock: time.%s", files.Position(n.Pos()), n.Sel.Name)
					}
				}
				return true
			})
		}
	}
}
