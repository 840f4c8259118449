package workercore

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestPure: this package decides and does nothing else.
func TestPure(t *testing.T) {
	allowed := map[string]bool{
		`"cmp"`: true, `"container/heap"`: true, `"errors"`: true, `"fmt"`: true, `"slices"`: true, `"strconv"`: true,
		`"time"`: true, `"github.com/privateer-mq/privateer/protocol"`: true,
		`"github.com/privateer-mq/privateer/internal/flat"`: true,
	}
	clock := map[string]bool{"Now": true, "Since": true, "Until": true, "After": true, "AfterFunc": true, "Sleep": true,
		"NewTimer": true, "NewTicker": true, "Tick": true}
	files, _ := filepath.Glob("*.go")
	fset, seen := token.NewFileSet(), 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		seen++
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			if !allowed[i.Path.Value] {
				t.Errorf("%s imports %s", name, i.Path.Value)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.ChanType, *ast.SelectStmt:
				t.Errorf("%s: %T", fset.Position(n.Pos()), n)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && clock[n.Sel.Name] {
					t.Errorf("%s: time.%s", fset.Position(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
	if seen < 10 {
		t.Fatalf("looked at %d files only", seen)
	}
}
