package docs

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// claims returns what is wrong with the text of d: links that lead nowhere and
// names of things that do not exist. others are all documents, by path.
func (f *facts) claims(d *document, others map[string]*document) []string {
	wrong := slices.Clone(d.problems)
	for _, l := range d.links {
		if why := f.linkProblem(d, l.text, others); why != "" {
			wrong = append(wrong, d.problem(l.line, "%s", why))
		}
	}
	for _, s := range d.spans {
		if why := f.spanProblem(d, s.text); why != "" {
			wrong = append(wrong, d.problem(s.line, "`%s`: %s", s.text, why))
		}
	}
	return wrong
}

// linkProblem is what is wrong with a link, "" if nothing. Other sites are not
// asked: only the form of their addresses is checked.
func (f *facts) linkProblem(d *document, to string, others map[string]*document) string {
	u, err := url.Parse(to)
	switch {
	case err != nil:
		return "the link " + to + " is no address"
	case u.Scheme == "mailto":
		return ""
	case u.Scheme != "":
		if u.Scheme != "https" || !strings.Contains(u.Host, ".") {
			return "the link " + to + " is not of the form https://host/…"
		}
		return ""
	}
	file := d.path
	if u.Path != "" {
		file = path.Join(path.Dir(d.path), u.Path)
	}
	if !f.files[file] {
		return "the link " + to + " leads to no file"
	}
	if u.Fragment != "" && (others[file] == nil || !others[file].anchors[u.Fragment]) {
		return "the link " + to + ": there is no such heading"
	}
	return ""
}

var (
	flagName   = regexp.MustCompile(`(?:^|[ \[(])--([a-z][a-z-]*)`)
	variable   = regexp.MustCompile(`^PRIVATEER_[A-Z_]+$`)
	metric     = regexp.MustCompile(`\bprivateer_[a-z_]+\b`)
	testName   = regexp.MustCompile(`^(?:Test|Fuzz|Benchmark)[A-Z]\w*$`)
	ofPackage  = regexp.MustCompile(`^([a-z]+)\.([A-Z]\w*(?:\.[A-Z]\w*)?)(?:\(.*\))?$`)
	member     = regexp.MustCompile(`^[A-Z]\w*[a-z]\w*\.[A-Z]\w*[a-z]\w*(?:\(.*\))?$`)
	errorName  = regexp.MustCompile(`^Err[A-Z]\w*$`)
	pathLike   = regexp.MustCompile(`^[\w.-]+(?:/[\w.-]+)*/?$`)
	extension  = regexp.MustCompile(`^[\w-][\w.-]*\.(?:go|md|txt|txtar|py|c|h|ya?ml|json|png|svg|css|js|html|sh)$`)
	httpPath   = regexp.MustCompile(`^/[a-z][\w./{}-]*$`)
	host       = regexp.MustCompile(`^[a-z0-9-]+\.[a-z]{2,}$`)
	mediaType  = regexp.MustCompile(`^(?:application|text|image)/[\w.+-]+$`)
	assignment = regexp.MustCompile(`^([A-Z_]+)=`)
)

// notHere are files that are made, or that others have.
var notHere = regexp.MustCompile(`^(?:bin|\.tools)/|^(?:ppqueue|mdbroker|mdp_broker)\.c$`)

// spanProblem is what is wrong with what a span names, "" if it names nothing
// that is checked, or something that exists.
func (f *facts) spanProblem(d *document, s string) string {
	bare, _, _ := strings.Cut(s, "(")
	switch {
	case isCommand(s):
		return f.commandProblem(s)
	case variable.MatchString(s):
		return f.variableProblem(s)
	case metric.MatchString(s):
		return f.metricProblem(s)
	case testName.MatchString(s):
		for _, names := range f.tests {
			if names[s] {
				return ""
			}
		}
		return "no test has this name"
	case ofPackage.MatchString(s):
		m := ofPackage.FindStringSubmatch(s)
		if f.packages[m[1]] && !f.names[m[1]+"."+m[2]] {
			return "package " + m[1] + " has no " + m[2]
		}
		return ""
	case member.MatchString(s), errorName.MatchString(s):
		if !f.names[bare] {
			return "no Go package here has this name"
		}
		return ""
	case httpPath.MatchString(s):
		return f.pageProblem(s)
	case f.flags[strings.Fields(s + " ")[0]] != nil && strings.Contains(s, " "):
		return f.commandProblem("privateer " + s)
	case strings.Contains(s, "--"):
		return f.looseFlags(d, s)
	case pathLike.MatchString(s) && (strings.Contains(s, "/") && !('A' <= s[0] && s[0] <= 'Z') || extension.MatchString(s)):
		return f.pathProblem(d, s)
	}
	return ""
}

// pathProblem: a path must be one from the root, from the document, or the end
// of one.
func (f *facts) pathProblem(d *document, s string) string {
	first, _, _ := strings.Cut(s, "/")
	if notHere.MatchString(s) || host.MatchString(first) && strings.Contains(s, "/") || mediaType.MatchString(s) {
		return ""
	}
	s = path.Clean(s)
	if f.files[s] || f.files[path.Join(path.Dir(d.path), s)] {
		return ""
	}
	for file := range f.files {
		if strings.HasSuffix(file, "/"+s) {
			return ""
		}
	}
	return "no such file or directory"
}

// looseFlags are those that stand without a command: of privateer, or of a
// program beside the document.
func (f *facts) looseFlags(d *document, s string) string {
	for _, m := range flagName.FindAllStringSubmatch(s, -1) {
		known := m[1] == "help"
		for _, flags := range f.flags {
			known = known || flags[m[1]]
		}
		for dir, source := range f.words {
			beside := path.Dir(d.path) != "." && strings.HasPrefix(dir+"/", path.Dir(d.path)+"/")
			known = known || beside && strings.Contains(source, `"`+m[1]+`"`)
		}
		if !known {
			return "no command has the flag --" + m[1]
		}
	}
	return ""
}

func (f *facts) metricProblem(s string) string {
	for _, name := range metric.FindAllString(s, -1) {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if !f.metrics[name] && !f.metrics[base] {
			return "there is no metric " + name
		}
	}
	return ""
}

// variableProblem: a variable is a flag's, or stands in the source of the command.
func (f *facts) variableProblem(s string) string {
	shout := strings.NewReplacer("-", "_")
	for command, flags := range f.flags {
		for flag := range flags {
			if s == "PRIVATEER_"+strings.ToUpper(shout.Replace(command+"_"+flag)) {
				return ""
			}
		}
	}
	for dir, source := range f.words {
		if dir != "internal/docs" && strings.Contains(source, s) {
			return ""
		}
	}
	return "nothing reads this variable"
}

// pageProblem: what begins with a slash is a page of the admin listener, or the
// system's.
func (f *facts) pageProblem(s string) string {
	if regexp.MustCompile(`^/(?:proc|etc|dev|tmp|usr|var|sys|run)\b`).MatchString(s) {
		return ""
	}
	for _, dir := range []string{"broker", "internal/adminapi", "internal/adminpage"} {
		if strings.Contains(f.words[dir], s) {
			return ""
		}
	}
	return "the admin listener has no such page"
}
