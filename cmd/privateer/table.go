package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// A table is printed with its columns aligned, numbers to the right.
type table struct {
	right []bool
	rows  [][]string // the first is the head
}

// newTable begins a table. A column whose name begins with ">" is aligned to
// the right.
func newTable(columns ...string) *table {
	t := &table{right: make([]bool, len(columns))}
	head := make([]string, len(columns))
	for i, c := range columns {
		head[i], t.right[i] = strings.TrimPrefix(c, ">"), strings.HasPrefix(c, ">")
	}
	t.rows = append(t.rows, head)
	return t
}

// row adds a row; its texts may come from far away.
func (t *table) row(cells ...any) {
	row := make([]string, len(t.right))
	for i, c := range cells {
		row[i] = oneLine(fmt.Sprint(c))
	}
	t.rows = append(t.rows, row)
}

// lines are the table's lines, the head first.
func (t *table) lines() []string {
	width := make([]int, len(t.right))
	for _, row := range t.rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range t.rows {
		for i, cell := range row {
			if t.right[i] {
				cell = strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)) + cell
			}
			if i < len(row)-1 { // a tab would make a column of the last, too
				cell += "\t"
			}
			_, _ = io.WriteString(w, cell) // into b
		}
		_, _ = io.WriteString(w, "\n")
	}
	_ = w.Flush()
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}

// write prints the table.
func (t *table) write(w io.Writer) error {
	_, err := io.WriteString(w, strings.Join(t.lines(), "\n")+"\n")
	return err
}

// ms is a time of the API, as people read it; none is "-".
func ms(n int64) string {
	if n == 0 {
		return "-"
	}
	return human(time.Duration(n) * time.Millisecond)
}

// human is a time as people read it: 0.4ms, 850ms, 1.2s, 45s, 3m20s, 2h5m,
// 3d4h. What is left out is cut off, so that 59.9s does not become 60s.
func human(d time.Duration) string {
	whole := func(unit time.Duration) int64 { return int64(d / unit) }
	pair := func(a int64, unit string, b int64, smaller string) string {
		if b == 0 {
			return fmt.Sprintf("%d%s", a, unit)
		}
		return fmt.Sprintf("%d%s%d%s", a, unit, b, smaller)
	}
	const day = 24 * time.Hour
	switch {
	case d <= 0:
		return "0"
	case d < 10*time.Millisecond:
		return tenths(d/(time.Millisecond/10), "ms")
	case d < time.Second:
		return fmt.Sprintf("%dms", whole(time.Millisecond))
	case d < 10*time.Second:
		return tenths(d/(time.Second/10), "s")
	case d < time.Minute:
		return fmt.Sprintf("%ds", whole(time.Second))
	case d < time.Hour:
		return pair(whole(time.Minute), "m", whole(time.Second)%60, "s")
	case d < day:
		return pair(whole(time.Hour), "h", whole(time.Minute)%60, "m")
	}
	return pair(whole(day), "d", whole(time.Hour)%24, "h")
}

func tenths(n time.Duration, unit string) string {
	if n%10 == 0 {
		return fmt.Sprintf("%d%s", n/10, unit)
	}
	return fmt.Sprintf("%d.%d%s", n/10, n%10, unit)
}
