package docs

// An exception is a command or block of the documents that is not run here.
type exception struct {
	line  string // the command, or the first line of the block, blanks as one
	why   string
	file  string // where it is run, or held, instead ...
	proof string // ... and what must stand there
}

// notRun are commands that are only verified: that the target, the flags, the
// files they name exist.
var notRun = []exception{
	{"make test", "it runs this very test", ".ci/run", "section test make test"},
	{"make bench", "three minutes, and its numbers want a quiet machine", "bench/bench_test.go", "func TestEveryBroker"},
	{"make bench-peers", "twenty minutes, and it installs other brokers", "bench/bench_test.go", "func TestEveryBroker"},
	{"make sim", "two thousand seeds", ".ci/run", "make sim SEEDS=2000 SEED=1"},
	{"make sim SEEDS=20000 SEED=1", "a minute", ".ci/run", "make sim SEEDS=2000 SEED=1"},
}

// recognised are blocks that only a reader can use.
var recognised = []exception{
	{"# … a comment", "the grammar of the stories", "internal/core/script_test.go", "testdata/README.md has the grammar"},
}

// wants are what commands must print; any other that is run must exit 0.
var wants = map[string]string{
	"./bin/privateer request echo hello":    `(?m)^hello$`,
	"./bin/privateer request sum hello":     `(?m)^2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 +-$`,
	"./bin/privateer request --parts count": `(?m)^1$\n^2$\n^3$\n^4$\n^5$`,
	"make demo":                             `demo: requests=2000 ok=2000 lost=0 wrong=0 `,
}
