package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// examples end the help of each command. Each runs as printed.
var examples = map[string]string{
	"broker":      `privateer broker --heartbeat 500ms --max-queue 10000`,
	"worker":      `privateer worker --service hash --concurrency 4 -- sha256sum`,
	"request":     `privateer request hash "some text"`,
	"ping":        `privateer ping`,
	"demo":        `privateer demo --requests 300`,
	"conformance": `privateer conformance broker --frontend tcp://127.0.0.1:5555 --backend tcp://127.0.0.1:5556`,
	"version":     `privateer version --json`,
}

// usageLines are what follows the flags, where kong cannot know it.
var usageLines = map[string]string{
	"worker":      `(--echo | -- COMMAND [ARG...])`,
	"request":     `SERVICE [BODY | -]`,
	"conformance": `(broker | worker | client | vectors) [-- COMMAND [ARG...]]`,
}

// exampleNotes say what an example needs, or does.
var exampleNotes = map[string]string{
	"broker":      "Until it is stopped with Ctrl-C:",
	"worker":      "With a broker running; each request's body goes through sha256sum:",
	"request":     "With a broker and the worker of \"privateer worker --help\" running:",
	"ping":        "With a broker running:",
	"conformance": "With a broker running:",
	"demo":        "In any directory with files in it:",
}

// printHelp is kong's help and then where else flags can come from, what the
// exit code means, and an example.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	w, node := ctx.Stdout, ctx.Selected()
	var text strings.Builder
	ctx.Stdout = &text
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	first, rest, _ := strings.Cut(text.String(), "\n")
	if node != nil && usageLines[node.Name] != "" {
		first = "Usage: privateer " + node.Name + " [flags] " + usageLines[node.Name]
	}
	fmt.Fprintf(w, "%s\n%s", first, rest)
	if node == nil {
		_, err := fmt.Fprintf(w, "\nTo see it at work:\n  %s\n", examples["demo"])
		return err
	}
	name := strings.ToUpper(node.Name)
	fmt.Fprintf(w, "\nA flag that is not given is read from the environment (--log-level from\n"+
		"PRIVATEER_%s_LOG_LEVEL; lists comma-separated), then from the section\n"+
		"%q of the --config file.\n", name, node.Name)
	fmt.Fprintf(w, "\nExit code: %s.\n", exitHelp[node.Name])
	_, err := fmt.Fprintf(w, "\n%s\n  %s\n", strings.TrimSpace("Example. "+exampleNotes[node.Name]), examples[node.Name])
	return err
}

// exitHelp says what the exit code of each command means.
var exitHelp = map[string]string{
	"broker":      "0 stopped in good order, 1 ended early, 2 wrong usage or configuration, or cannot bind",
	"worker":      "0 stopped in good order, 1 ended early, 2 wrong usage or configuration",
	"request":     "0 OK, 1 it ran and failed, 2 wrong usage or configuration, 3 it may have run, \n4 it did not start. With --repeat the worst outcome decides: 3 before 1 before 4",
	"ping":        "0 there, 2 wrong usage or configuration, 4 no answer",
	"demo":        "0 nothing lost and nothing wrong, 1 otherwise, 2 wrong usage",
	"conformance": "0 nothing failed, 1 a check failed, 2 wrong usage or cannot bind",
	"version":     "0",
}
