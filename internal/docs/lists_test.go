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
	{"make bench", "five minutes, and its numbers want a quiet machine", "bench/bench_test.go", "func TestEveryBroker"},
	{"make bench-peers", "twenty-five minutes, and it installs other brokers", "bench/bench_test.go", "func TestEveryBroker"},
	{"./bin/privateer conformance worker --service echo -- ./my-worker {}", "my-worker is the reader's, and the checks want a machine with time", "integration_test/conformance_test.go", "func TestConformanceWorker"},
	{"make sim", "two thousand seeds", ".ci/run", "make sim SEEDS=2000 SEED=1"},
	{"make sim-long LONG=1000000", "two hours", "internal/sim/run/long_test.go", "func TestLong"},
	{"make sim SEEDS=20000 SEED=1", "a minute", ".ci/run", "make sim SEEDS=2000 SEED=1"},

	{"sudo install -m 755 bin/privateer /usr/local/bin/privateer", asRoot, "scripts/deploy-test", "/usr/local/bin/privateer"},
	{"sudo install -m 644 deploy/systemd/*.service /etc/systemd/system/", asRoot, "scripts/deploy-test", "systemd-analyze verify"},
	{"sudo systemctl daemon-reload", asRoot, "scripts/deploy-test", "systemd-analyze verify"},
	{"sudo systemctl enable --now privateer-broker", asRoot, "scripts/deploy-test", "systemd-analyze verify"},
	{"systemctl status privateer-broker", asRoot, "scripts/deploy-test", "systemd-analyze verify"},
	{"sudo systemctl restart privateer-broker", asRoot, "integration_test/restart_test.go", "func Test"},
	{"privateer check", "its broker is systemd's", "cmd/privateer/main_test.go", "func TestScripts"},
	{"sudo install -m 644 deploy/prometheus/prometheus.yml deploy/prometheus/privateer.rules.yml /etc/prometheus/", asRoot,
		"scripts/deploy-test", "check config deploy/prometheus/prometheus.yml"},
	{"promtool check config /etc/prometheus/prometheus.yml", asRoot, "scripts/deploy-test", "check config deploy/prometheus/prometheus.yml"},
	{"sudo systemctl reload prometheus", asRoot, "scripts/deploy-test", "-run TestPrometheus"},

	{"docker compose up --build -d", containers, "scripts/compose-test", "start up -d --no-build"},
	{"docker compose exec broker privateer top", containers, "scripts/compose-test", "privateer top --once"},
	{"docker compose down", containers, "scripts/compose-test", "down -v"},
	{"docker compose --profile observability up --build -d", containers, "scripts/compose-test", "--profile observability up -d"},
	{"CHAOS_SECONDS=30 docker compose --profile chaos up --build -d", containers, "scripts/compose-test", "--profile chaos up -d"},
	{"docker compose --profile chaos logs -f chaos", containers, "scripts/compose-test", "docker logs --tail 1"},

	{"go run ./examples/thumbnails", forEver, "examples/thumbnails/thumbnails_test.go", "func TestSurvivesKills"},
	{"go run ./examples/thumbnails broker --front tcp://127.0.0.1:5555 --back tcp://127.0.0.1:5556", forEver, "examples/thumbnails/thumbnails_test.go", "func TestSurvivesKills"},
	{"go run ./examples/thumbnails worker --back tcp://127.0.0.1:5556", forEver, "examples/thumbnails/thumbnails_test.go", "func TestSurvivesKills"},
	{"go run ./examples/thumbnails web --front tcp://127.0.0.1:5555 --http 127.0.0.1:8080", forEver, "examples/thumbnails/thumbnails_test.go", "func TestSurvivesKills"},
}

const (
	asRoot     = "it changes the machine, as root"
	containers = "it needs a Docker engine"
	forEver    = "it goes on until it is stopped; its test plays it as processes"
)

// recognised are blocks that only a reader can use.
var recognised = []exception{
	{"COMMAND=sha256sum", "a file of settings", "scripts/deploy-test", "systemd-analyze verify"},
	{"chaos: requests=… ok=… lost=N wrong=N repeated=… killed=… frozen=…", containers, "scripts/compose-test", "docker logs --tail 1"},
	{"# … a comment", "the grammar of the stories", "internal/core/script_test.go", "testdata/README.md has the grammar"},
}

// wants are what commands must print; any other that is run must exit 0.
var wants = map[string]string{
	"./bin/privateer request echo hello":    `(?m)^hello$`,
	"./bin/privateer request sum hello":     `(?m)^2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 +-$`,
	"./bin/privateer request --parts count": `(?m)^1$\n^2$\n^3$\n^4$\n^5$`,
	"make demo":                             `demo: requests=2000 ok=2000 lost=0 wrong=0 `,
}
