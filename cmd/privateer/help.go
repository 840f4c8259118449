package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/privateer-mq/privateer/cmd/privateer/internal/settings"
)

// examples end the help of each command. Each runs as printed; the ids of requests
// are made up.
var examples = map[string]string{
	"broker":      `privateer broker --heartbeat 500ms --max-queue 10000`,
	"worker":      `privateer worker --service hash --concurrency 4 -- sha256sum`,
	"request":     `privateer request hash "some text"`,
	"ping":        `privateer ping`,
	"demo":        `privateer demo --requests 300`,
	"conformance": `privateer conformance broker --frontend tcp://127.0.0.1:5555 --backend tcp://127.0.0.1:5556`,
	"doctor":      `privateer doctor tcp://127.0.0.1:5555`,
	"bench":       `privateer bench --rate 1000 --duration 3s`,
	"completion":  `privateer completion bash`,
	"version":     `privateer version --json`,

	"top":       `privateer top --once`,
	"services":  `privateer services`,
	"workers":   `privateer workers --json`,
	"requests":  `privateer requests --older-than 10s`,
	"why":       `privateer why 0190b5a2-7c1e-7000-8000-0123456789ab`,
	"dead":      `privateer dead`,
	"cancel":    `privateer cancel 0190b5a2-7c1e-7000-8000-0123456789ab`,
	"pause":     `privateer pause hash`,
	"resume":    `privateer resume hash`,
	"drain":     `privateer drain --wait`,
	"log-level": `privateer log-level debug`,
	"check":     `privateer check --max-oldest 10s --min-workers 1 --service hash`,
}

// usageLines are what follows the flags, where kong cannot know it.
var usageLines = map[string]string{
	"worker":      `(--echo | -- COMMAND [ARG...])`,
	"request":     `SERVICE [BODY | -]`,
	"doctor":      `[ENDPOINT]`,
	"bench":       `[serve]`,
	"conformance": `(broker | worker | client | vectors) [-- COMMAND [ARG...]]`,
}

// exampleNotes say what an example needs, or does.
var exampleNotes = map[string]string{
	"broker":      "Until it is stopped with Ctrl-C:",
	"worker":      "With a broker running; each request's body goes through sha256sum:",
	"request":     "With a broker and the worker of \"privateer worker --help\" running:",
	"ping":        "With a broker running:",
	"conformance": "With a broker running:",
	"doctor":      "With a broker running:",
	"bench":       "With a broker and \"privateer bench serve\" running:",
	"demo":        "In any directory with files in it:",

	"top":       withAdmin,
	"services":  withAdmin,
	"workers":   withAdmin,
	"requests":  withAdmin,
	"why":       withAdmin,
	"dead":      withAdmin,
	"cancel":    withAdmin,
	"pause":     withAdmin,
	"resume":    withAdmin,
	"drain":     withAdmin,
	"log-level": withAdmin,
	"check":     withAdmin,
}

// withAdmin is what the commands need that ask the admin listener.
const withAdmin = "With \"privateer broker --admin 127.0.0.1:5580\" running:"

// printHelp is kong's help and then where else flags can come from, what the
// exit code means, and an example.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	out, node := ctx.Stdout, ctx.Selected()
	var text, w strings.Builder
	ctx.Stdout = &text
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	first, rest, _ := strings.Cut(text.String(), "\n")
	if node != nil && usageLines[node.Name] != "" {
		first = "Usage: privateer " + node.Name + " [flags] " + usageLines[node.Name]
	}
	fmt.Fprintf(&w, "%s\n%s", first, rest)
	if node == nil {
		fmt.Fprintf(&w, "\nTo see it at work:\n  %s\n", examples["demo"])
	} else {
		helpEnd(&w, node)
	}
	_, err := io.WriteString(out, w.String())
	return notPrinted(err)
}

// helpEnd is what follows kong's help of a command.
func helpEnd(w io.Writer, node *kong.Node) {
	name := strings.ToUpper(strings.ReplaceAll(node.Name, "-", "_"))
	fmt.Fprintf(w, "\nA flag that is not given is read from the environment (--log-level from\n"+
		"PRIVATEER_%s_LOG_LEVEL; lists comma-separated), then from the section\n"+
		"%q of the --config file.\n", name, node.Name)
	for _, f := range node.Flags {
		if shared := settings.Shared(f); shared != "" {
			fmt.Fprintf(w, "--%s is also read from %s, as of other commands, after its own variable.\n", f.Name, shared)
		}
	}
	fmt.Fprintf(w, "\nExit code: %s.\n", exitHelp[node.Name])
	fmt.Fprintf(w, "\n%s\n  %s\n", strings.TrimSpace("Example. "+exampleNotes[node.Name]), examples[node.Name])
}

// exitHelp says what the exit code of each command means.
var exitHelp = map[string]string{
	"broker":      "0 stopped in good order, 1 ended early, 2 wrong usage or configuration, or cannot bind",
	"worker":      "0 stopped in good order, 1 ended early, 2 wrong usage or configuration",
	"request":     "0 OK, 1 it ran and failed, 2 wrong usage or configuration, 3 it may have run, \n4 it did not start. With --repeat the worst outcome decides: 3 before 1 before 4",
	"ping":        "0 there, 2 wrong usage or configuration, 4 no answer",
	"demo":        "0 nothing lost and nothing wrong, 1 otherwise, 2 wrong usage",
	"conformance": "0 nothing failed, 1 a check failed, 2 wrong usage or cannot bind",
	"doctor":      "0 all fine, 1 a step failed, 2 wrong usage or configuration",
	"bench":       "0 measured, 1 nothing was answered, 2 wrong usage or configuration. serve:\n0 stopped in good order, 1 ended early, 2 wrong usage or configuration",
	"completion":  "0, 2 wrong usage",
	"version":     "0",

	"top":       adminExit,
	"services":  adminExit,
	"workers":   adminExit,
	"requests":  adminExit,
	"why":       adminExit,
	"dead":      adminExit,
	"cancel":    adminExit,
	"pause":     adminExit,
	"resume":    adminExit,
	"drain":     "0 it drains, or with --wait it is gone, 1 the broker has refused or is still there,\n2 wrong usage or configuration, 4 no answer",
	"log-level": adminExit,
	"check":     "0 ok, 1 warning, 2 critical, 3 unknown: it cannot ask,\nor wrong usage or configuration",
}

// adminExit is what the commands exit with that ask the admin listener.
const adminExit = "0 done, 1 the broker has refused, 2 wrong usage or configuration, 4 no answer"
