package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/privateer-mq/privateer/cmd/privateer/internal/settings"
)

// parse parses a command line with an environment and returns the value of one
// flag of the command.
func parse(t *testing.T, environ []string, command, flag string, args ...string) any {
	t.Helper()
	return parseIn(t, &commands{}, environ, command, flag, args...)
}

// alone is a command line with one command: much is parsed here, and kong reads
// the whole of it each time.
func alone(t *testing.T, command string) any {
	t.Helper()
	fields := slices.Concat(reflect.VisibleFields(reflect.TypeFor[commands]()), reflect.VisibleFields(reflect.TypeFor[adminCommands]()))
	for _, f := range fields {
		if _, ok := f.Tag.Lookup("cmd"); ok && strings.EqualFold(f.Name, strings.ReplaceAll(command, "-", "")) {
			field := reflect.StructField{Name: f.Name, Type: f.Type, Tag: f.Tag}
			return reflect.New(reflect.StructOf([]reflect.StructField{field})).Interface()
		}
	}
	t.Fatalf("no command %s", command)
	return nil
}

// parseIn is parse with the command line that target is.
func parseIn(t *testing.T, target any, environ []string, command, flag string, args ...string) any {
	t.Helper()
	parser, err := newParser(target, settings.New(environ))
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{command}, args...)
	switch command {
	case "request", "pause", "resume":
		args = append(args, "some-service")
	case "why", "cancel":
		args = append(args, "0190b5a2-7c1e-7000-8000-0123456789ab")
	case "completion":
		args = append(args, "bash")
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		t.Fatalf("%q with %q: %v", args, environ, err)
	}
	for _, f := range ctx.Selected().Flags {
		if f.Name == flag {
			return f.Target.Interface()
		}
	}
	t.Fatalf("%s has no flag %s", command, flag)
	return nil
}

// eachFlag calls do for every flag of every command.
func eachFlag(t *testing.T, do func(t *testing.T, command string, flag *kong.Flag)) {
	t.Helper()
	parser, err := newParser(&commands{}, settings.New(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range parser.Model.Leaves(true) {
		for _, flag := range command.Flags {
			t.Run(command.Name+"/"+flag.Name, func(t *testing.T) { do(t, command.Name, flag) })
		}
	}
}

// samples are three different texts for a flag.
func samples(t *testing.T, flag *kong.Flag) [3]string {
	switch v := flag.Target.Interface().(type) {
	case string:
		if flag.Enum != "" {
			e := flag.EnumSlice()
			return [3]string{e[0], e[1], e[2%len(e)]}
		}
		return [3]string{"one", "two", "three"}
	case []string:
		return [3]string{"tcp://one", "tcp://two", "tcp://three"}
	case []header:
		return [3]string{"a=1", "b=2", "c=3,4"}
	case bool:
		return [3]string{"true", "false", "true"}
	case duration, durationOrZero, limitTime:
		return [3]string{"11s", "12s", "13s"}
	case serviceName:
		return [3]string{"one", "two", "three"}
	case count, countOrZero, limit, percent, pageSize:
		return [3]string{"11", "12", "13"}
	case fileMode:
		return [3]string{"0600", "0640", "0660"}
	case size:
		return [3]string{"11KiB", "12KiB", "13KiB"}
	default:
		t.Fatalf("no samples for %T: add some", v)
		return [3]string{}
	}
}

// TestPrecedence: for every flag there is, the command line beats the
// environment, which beats the file, which beats the default.
func TestPrecedence(t *testing.T) {
	eachFlag(t, func(t *testing.T, command string, flag *kong.Flag) {
		if flag.Tag.Get(settings.Tag) == "none" || flag.Name == "config" {
			return // see TestCommandLineOnly, TestConfigFlag
		}
		parse := func(environ []string, command, flag string, args ...string) any {
			t.Helper()
			return parseIn(t, alone(t, command), environ, command, flag, args...)
		}
		texts := samples(t, flag)
		plain := parse(nil, command, flag.Name)
		one := parse(nil, command, flag.Name, "--"+flag.Name+"="+texts[0])
		two := parse(nil, command, flag.Name, "--"+flag.Name+"="+texts[1])
		three := parse(nil, command, flag.Name, "--"+flag.Name+"="+texts[2])

		config := filepath.Join(t.TempDir(), "config.yaml")
		text := command + ":\n  " + flag.Name + ": \"" + texts[0] + "\"\n"
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		file := "--config=" + config
		env := []string{"PRIVATEER_" + strings.ToUpper(strings.ReplaceAll(command+"-"+flag.Name, "-", "_")) + "=" + texts[1]}

		check := func(what string, got, want any) {
			t.Helper()
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %v, want %v", what, got, want)
			}
		}
		check("default", plain, defaultOf(t, flag))
		check("file over default", parse(nil, command, flag.Name, file), one)
		check("environment over default", parse(env, command, flag.Name), two)
		check("environment over file", parse(env, command, flag.Name, file), two)
		check("flag over environment and file", parse(env, command, flag.Name, file, "--"+flag.Name+"="+texts[2]), three)
		check("empty variable", parse([]string{strings.SplitAfter(env[0], "=")[0]}, command, flag.Name), plain)
		if reflect.DeepEqual(one, two) || reflect.DeepEqual(two, three) {
			t.Errorf("samples %v do not differ", texts)
		}
	})
}

// TestShared: the variables that several commands read come after the command's own
// one and before the file; and each command that asks there has them.
func TestShared(t *testing.T) {
	have := map[string][]string{}
	eachFlag(t, func(t *testing.T, command string, flag *kong.Flag) {
		if shared := settings.Shared(flag); shared != "" {
			have[shared] = append(have[shared], command)
		} else if command != "broker" && command != "conformance" && (flag.Name == "admin" || flag.Name == "token-file" || flag.Name == "broker") {
			t.Errorf("it shares no variable")
		}
	})
	if len(have["PRIVATEER_ADMIN"]) != 12 || len(have["PRIVATEER_TOKEN_FILE"]) != 12 || len(have["PRIVATEER_BROKER"]) != 3 || len(have["PRIVATEER_BACKEND"]) != 2 {
		t.Errorf("shared by: %v", have)
	}
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("why: {admin: \"file:1\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		environ       []string
		command, flag string
		args          []string
		want          any
	}{
		{[]string{"PRIVATEER_ADMIN=shared:1"}, "why", "admin", nil, "shared:1"},
		{[]string{"PRIVATEER_ADMIN=shared:1"}, "why", "admin", []string{"--config", config}, "shared:1"},
		{[]string{"PRIVATEER_ADMIN="}, "why", "admin", []string{"--config", config}, "file:1"},
		{[]string{"PRIVATEER_ADMIN=shared:1", "PRIVATEER_WHY_ADMIN=own:1"}, "why", "admin", nil, "own:1"},
		{[]string{"PRIVATEER_ADMIN=shared:1", "PRIVATEER_WHY_ADMIN=own:1"}, "why", "admin", []string{"--admin", "given:1"}, "given:1"},
		{[]string{"PRIVATEER_ADMIN=shared:1"}, "broker", "admin", nil, ""}, // it does not ask there, it listens
		{[]string{"PRIVATEER_TOKEN_FILE=token"}, "dead", "token-file", nil, "token"},
		{[]string{"PRIVATEER_BROKER=tcp://a:1,tcp://b:2"}, "request", "broker", nil, []string{"tcp://a:1", "tcp://b:2"}},
		{[]string{"PRIVATEER_BROKER=tcp://a:1,tcp://b:2"}, "ping", "broker", nil, "tcp://a:1"},
		{[]string{"PRIVATEER_BROKER=tcp://a:1"}, "worker", "broker", nil, []string{"tcp://127.0.0.1:5556"}},
		{[]string{"PRIVATEER_BACKEND=tcp://a:1"}, "worker", "broker", nil, []string{"tcp://a:1"}},
		{[]string{"PRIVATEER_BACKEND=tcp://a:1"}, "bench", "backend", nil, []string{"tcp://a:1"}},
	} {
		if got := parse(t, c.environ, c.command, c.flag, c.args...); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s --%s %v with %v: got %v, want %v", c.command, c.flag, c.args, c.environ, got, c.want)
		}
	}
}

// defaultOf is the value that a flag's default tag stands for.
func defaultOf(t *testing.T, flag *kong.Flag) any {
	target := reflect.New(flag.Target.Type()).Elem()
	if flag.HasDefault {
		scan := kong.Scan().PushTyped(flag.Default, kong.FlagValueToken)
		if err := flag.Mapper.Decode(&kong.DecodeContext{Value: flag.Value, Scan: scan}, target); err != nil {
			t.Fatal(err)
		}
	}
	return target.Interface()
}

// TestLists: the environment has them comma-separated, the file as a list.
func TestLists(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := "worker:\n  broker: [tcp://a:1, tcp://b:2]\nrequest:\n  header:\n    - k=v,w\n    - \"q=\\\"\"\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"PRIVATEER_WORKER_BROKER=tcp://c:3, tcp://d:4", "PRIVATEER_REQUEST_HEADER=a=1,b=2"}
	for _, c := range []struct {
		environ       []string
		command, flag string
		args          []string
		want          any
	}{
		{nil, "worker", "broker", []string{"--config", config}, []string{"tcp://a:1", "tcp://b:2"}},
		{env, "worker", "broker", []string{"--config", config}, []string{"tcp://c:3", "tcp://d:4"}},
		{env, "worker", "broker", []string{"--broker", "tcp://e:5", "--broker", "tcp://f:6"}, []string{"tcp://e:5", "tcp://f:6"}},
		{nil, "request", "header", []string{"--config", config}, []header{{"k", "v,w"}, {"q", `"`}}},
		{env, "request", "header", nil, []header{{"a", "1"}, {"b", "2"}}},
		{env, "request", "header", []string{"--header", "k=v,w"}, []header{{"k", "v,w"}}},
	} {
		if got := parse(t, c.environ, c.command, c.flag, c.args...); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s --%s: got %v, want %v", c.command, c.flag, got, c.want)
		}
	}
}

// TestConfigFlag: --config itself comes from the command line or the environment.
func TestConfigFlag(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "broker: {liveness: 5}", "b": "broker: {liveness: 6}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"PRIVATEER_BROKER_CONFIG=" + filepath.Join(dir, "a")}
	if got := parse(t, env, "broker", "liveness"); got != count(5) {
		t.Errorf("from the environment: %v, want 5", got)
	}
	if got := parse(t, env, "broker", "liveness", "--config", filepath.Join(dir, "b")); got != count(6) {
		t.Errorf("from the command line: %v, want 6", got)
	}
}

// TestCommandLineOnly: what names one request, and what handler processes are
// told, is never read from the environment.
func TestCommandLineOnly(t *testing.T) {
	told := map[string]bool{"PRIVATEER_REQUEST_ID": true, "PRIVATEER_ATTEMPT": true,
		"PRIVATEER_SERVICE": true, "PRIVATEER_DEADLINE_MS": true}
	variables := make(map[string]bool)
	eachFlag(t, func(t *testing.T, command string, flag *kong.Flag) {
		name := settings.Variable(command, flag)
		if told[name] {
			t.Errorf("--%s reads %s", flag.Name, name)
		}
		variables[name] = true
	})
	if len(variables) < 50 {
		t.Errorf("only %d variables were looked at", len(variables))
	}
	id := "0190b5a2-7c1e-7000-8000-0123456789ab"
	if got := parse(t, []string{"PRIVATEER_REQUEST_ID=" + id}, "request", "id"); got != (*requestID)(nil) {
		t.Errorf("PRIVATEER_REQUEST_ID was read: %v", got)
	}
}
