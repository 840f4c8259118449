package pool

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestPool(t *testing.T) {
	for n := 4096; n < 5<<20; n += n/7 + 1 {
		if size := sizeOf(n); size < n || size > n+n/8 || sizeOf(size) != size {
			t.Fatalf("sizeOf(%d) = %d, and of that %d", n, size, sizeOf(size))
		}
	}
	var p Pool
	a := p.Get(5000)
	p.Put(a)
	p.Put(make([]byte, 5001)) // nobody's
	if b := p.Get(5100); len(b) != 5100 || &b[0] != &a[0] {
		t.Fatal("the memory was not used again")
	}
	if b := p.Get(5100); &b[0] == &a[0] {
		t.Fatal("the memory was given twice")
	}
	for range 100 {
		p.Put(make([]byte, sizeOf(1<<20)))
	}
	if p.Bytes() > BytesMax || p.Bytes() < BytesMax/2 {
		t.Fatalf("it keeps %d bytes", p.Bytes())
	}
}

// What is kept is told to those who size a machine.
func TestTableOfMemory(t *testing.T) {
	text, err := os.ReadFile("../../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	if row := fmt.Sprintf("kept for the next ones | | | %d MiB |", BytesMax>>20); !strings.Contains(string(text), row) {
		t.Fatalf("the table of memory in docs/operating.md has no row with %q", row)
	}
}
