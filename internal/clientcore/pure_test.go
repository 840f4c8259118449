package clientcore

import (
	"go/ast"
	"go/token"
	"slices"
	"testing"
)

// inspect fails t for each goroutine started and each clock read in file.
func inspect(t *testing.T, set *token.FileSet, file *ast.File) {
	clock := []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "NewTimer", "NewTicker", "Tick"}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%v: a goroutine", set.Position(n.Pos()))
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, n.Sel.Name) {
				t.Errorf("%v: time.%s", set.Position(n.Pos()), n.Sel.Name)
			}
		}
		return true
	})
}
