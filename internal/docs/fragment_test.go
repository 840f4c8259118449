package docs

import (
	"regexp"
	"slices"
	"strings"
)

// imports are what a fragment may use without saying so.
var imports = map[string]string{
	"context": "context", "errors": "errors", "fmt": "fmt", "log": "log", "os": "os", "time": "time", "testing": "testing", "http": "net/http",
	"slog": "log/slog", "json": "encoding/json", "strings": "strings", "zerolog": "github.com/rs/zerolog",
}

var qualifier = regexp.MustCompile(`\b([a-z]\w*)\.[A-Z]`)

// whole makes a fragment a file: declarations as they are, statements in a
// function that has what such text takes for granted.
func (f *facts) whole(b *block) string {
	text := strings.Join(b.lines, "\n")
	var paths []string
	for _, m := range qualifier.FindAllStringSubmatch(text, -1) {
		switch {
		case imports[m[1]] != "":
			paths = append(paths, imports[m[1]])
		case f.packages[m[1]]:
			paths = append(paths, "github.com/privateer-mq/privateer/"+m[1])
		}
	}
	declares := regexp.MustCompile(`(?m)^(?:func \w|func \(|type |var |const |import )`).MatchString(strings.TrimSpace(b.lines[0]))
	head, tail := "", ""
	if !declares {
		paths = append(paths, "context", "github.com/privateer-mq/privateer/client", "github.com/privateer-mq/privateer/worker")
		head = "func _(ctx context.Context, c *client.Client, p *client.Pipeline, w *worker.Worker, r *worker.Request) { "
		tail = "\n}"
	}
	slices.Sort(paths)
	out := "package block; "
	if !strings.Contains(text, "import ") {
		for _, p := range slices.Compact(paths) {
			out += `import "` + p + `"; `
		}
	}
	return out + head + text + tail
}
