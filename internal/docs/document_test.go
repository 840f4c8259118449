package docs

import (
	"fmt"
	"regexp"
	"strings"
)

// A document is what is checked of one Markdown file.
type document struct {
	path     string // from the root of the repository
	blocks   []block
	spans    []span // `code` in the text
	links    []span // what [text](target), src= and href= point to
	anchors  map[string]bool
	problems []string // what is wrong with its form
}

// A block is code that stands apart: between fences, or indented.
type block struct {
	line  int    // of its first line, from 1
	info  string // what stands after the opening fence
	lines []string
}

type span struct {
	line int
	text string
}

func (d *document) problem(line int, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", d.path, line, fmt.Sprintf(format, args...))
}

var (
	listItem = regexp.MustCompile(`^ {0,3}([-*+]|\d+[.)]) +`)
	fence    = regexp.MustCompile("^ *(```+|~~~+) *([^`]*)$")
	heading  = regexp.MustCompile(`^#{1,6} +(.*?)[ #]*$`)
	target   = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)|\b(?:src|href)="([^"]+)"`)
	reserved = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// parse reads as much of Markdown as these documents use.
func parse(path, text string) *document {
	d := &document{path: path, anchors: map[string]bool{}}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	list := 0 // how far the text of the list item around is indented, 0 outside of lists
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		m := fence.FindStringSubmatch(line)
		switch {
		case strings.TrimSpace(line) == "":
		case m != nil:
			i = d.fenced(lines, i, m[1], m[2])
		case strings.HasPrefix(line, strings.Repeat(" ", list+4)) && (i == 0 || strings.TrimSpace(lines[i-1]) == "" || heading.MatchString(lines[i-1])):
			i = d.indented(lines, i, list+4)
		default:
			if item := listItem.FindString(line); item != "" {
				list = len(item)
			} else if !strings.HasPrefix(line, " ") {
				list = 0
			}
			i = d.paragraph(lines, i)
		}
	}
	return d
}

// fenced takes the block whose opening fence is lines[i], and returns the line
// of the closing one.
func (d *document) fenced(lines []string, i int, mark, info string) int {
	b, indent := block{line: i + 2, info: strings.TrimSpace(info)}, len(lines[i])-len(strings.TrimLeft(lines[i], " "))
	for j := i + 1; j < len(lines); j++ {
		if strings.TrimSpace(lines[j]) == mark {
			d.blocks = append(d.blocks, b)
			return j
		}
		cut := min(indent, len(lines[j])-len(strings.TrimLeft(lines[j], " ")))
		b.lines = append(b.lines, lines[j][cut:])
	}
	d.problems = append(d.problems, d.problem(i+1, "this fence is never closed"))
	return len(lines)
}

// indented takes the block that begins at lines[i], and returns its last line.
func (d *document) indented(lines []string, i, by int) int {
	b, last := block{line: i + 1}, i
	for j := i; j < len(lines); j++ {
		if strings.TrimSpace(lines[j]) == "" {
			continue
		}
		if !strings.HasPrefix(lines[j], strings.Repeat(" ", by)) {
			break
		}
		for last++; last < j; last++ {
			b.lines = append(b.lines, "")
		}
		b.lines, last = append(b.lines, lines[j][by:]), j
	}
	d.blocks = append(d.blocks, b)
	return last
}

// paragraph takes the lines of text, table or heading from lines[i] on, as far
// as they go together, and returns the last of them.
func (d *document) paragraph(lines []string, i int) int {
	last := i
	for last+1 < len(lines) && strings.TrimSpace(lines[last+1]) != "" && !fence.MatchString(lines[last+1]) &&
		!heading.MatchString(lines[last]) && !heading.MatchString(lines[last+1]) && !listItem.MatchString(lines[last+1]) {
		last++
	}
	if m := heading.FindStringSubmatch(lines[i]); m != nil {
		d.anchor(m[1])
	}
	d.table(lines[i:last+1], i+1)
	text := d.code(strings.Join(lines[i:last+1], "\n"), i+1)
	for _, m := range target.FindAllStringSubmatchIndex(text, -1) {
		from, to := m[2], m[3]
		if from < 0 {
			from, to = m[4], m[5]
		}
		d.links = append(d.links, span{i + 1 + strings.Count(text[:from], "\n"), text[from:to]})
	}
	return last
}

// anchor notes what a link to a heading ends with.
func (d *document) anchor(title string) {
	title = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`).ReplaceAllString(title, "$1")
	slug := strings.ReplaceAll(reserved.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
	name := slug
	for n := 1; d.anchors[name]; n++ {
		name = fmt.Sprintf("%s-%d", slug, n)
	}
	d.anchors[name] = true
}

// code takes the spans out of a paragraph and returns it with blanks in their place.
func (d *document) code(text string, line int) string {
	out := []byte(text)
	for i := 0; i < len(text); {
		if text[i] != '`' {
			i++
			continue
		}
		n := len(text[i:]) - len(strings.TrimLeft(text[i:], "`"))
		mark := text[i : i+n]
		end := strings.Index(text[i+n:], mark)
		at := line + strings.Count(text[:i], "\n")
		if end < 0 {
			d.problems = append(d.problems, d.problem(at, "this %s is never closed", mark))
			break
		}
		inside := text[i+n : i+n+end]
		d.spans = append(d.spans, span{at, strings.Join(strings.Fields(inside), " ")})
		for j := i; j < i+2*n+end; j++ {
			if out[j] != '\n' {
				out[j] = ' '
			}
		}
		i += 2*n + end
	}
	return string(out)
}

// table checks that each row has as many cells as the head.
func (d *document) table(lines []string, line int) {
	want := 0
	for i, l := range lines {
		if !strings.HasPrefix(l, "|") {
			want = 0
			continue
		}
		n := 0
		quoted := false
		for j := range len(l) {
			switch {
			case l[j] == '`':
				quoted = !quoted
			case l[j] == '|' && !quoted && (j == 0 || l[j-1] != '\\'):
				n++
			}
		}
		if want == 0 {
			want = n
		}
		if n != want || !strings.HasSuffix(strings.TrimRight(l, " "), "|") {
			d.problems = append(d.problems, d.problem(line+i, "a row of %d cells in a table of %d", n-1, want-1))
		}
	}
}
