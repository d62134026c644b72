package cli_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// privacyEnv is a shell of an operator who has set nothing but texts and times.
func privacyEnv(t *testing.T) *shell {
	t.Helper()
	return &shell{t: t, env: map[string]string{"HISTORY_MAX_AGE": "5s", "PRIVACY_CONTACT": "privacy@provider.test", "DATA_LOCATIONS": "Amsterdam"}}
}

// Both need no database, and tell of this installation.
func TestPrivacyRegister(t *testing.T) {
	t.Parallel()
	s := privacyEnv(t)
	text := s.run("privacy", "register").ok().out
	for _, want := range []string{"# Register of processing", "5 seconds after the click", "privacy@provider.test", "Amsterdam", "`calls.number`"} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q", want)
		}
	}
	object := s.run("privacy", "register", "--json").object()
	for _, member := range []string{"controller", "processor", "contact", "locations", "categories", "activities", "transfers", "security", "columnsWithoutPersons", "times"} {
		if object[member] == nil {
			t.Errorf("the object lacks %s", member)
		}
	}
	if object["contact"] != "privacy@provider.test" || object["locations"] != "Amsterdam" {
		t.Errorf("%v, %v", object["contact"], object["locations"])
	}
	bare := (&shell{t: t}).run("privacy", "register", "--json").object()
	if bare["contact"] != "not stated" || bare["locations"] != "not stated" {
		t.Errorf("unset: %v, %v", bare["contact"], bare["locations"])
	}
}

func TestPrivacyAnnex(t *testing.T) {
	t.Parallel()
	s := privacyEnv(t)
	for lang, title := range map[string]string{"": "# Annex to the", "en": "# Annex to the", "nl": "# Bijlage bij de", "de": "# Anlage zum"} {
		args := []string{"privacy", "annex"}
		if lang != "" {
			args = append(args, "--lang", lang)
		}
		if text := s.run(args...).ok().out; !strings.HasPrefix(text, title) || !strings.Contains(text, "privacy@provider.test") {
			t.Errorf("in %q it begins %.60q", lang, text)
		}
		object := s.run(append(args, "--json")...).object()
		if sections, _ := object["sections"].([]any); len(sections) != 12 {
			t.Errorf("in %q the object has %d sections", lang, len(sections))
		}
	}
	s.run("privacy", "annex", "--lang", "fr").usage()
}

var (
	told = regexp.MustCompile("(?m)(?:^(?:\\.run/ctd|clicktodial)|`clicktodial) ([^`\n]*)")
	word = regexp.MustCompile(`^[a-z][a-z-]*$`)
)

// commandsOf gives the commands that a document tells of, without what is given
// to them.
func commandsOf(document string) (commands []string) {
	for _, m := range told.FindAllStringSubmatch(document, -1) {
		words := strings.Fields(m[1])
		if end := slices.IndexFunc(words, func(w string) bool { return !word.MatchString(w) }); end >= 0 {
			words = words[:end]
		}
		if len(words) > 0 {
			commands = append(commands, strings.Join(words, " "))
		}
	}
	return commands
}

// A command of the documents is there under that name.
func TestCommandsOfTheDocuments(t *testing.T) {
	t.Parallel()
	var commands []string
	for _, file := range []string{"../../README.md", "../../docs/privacy.md"} {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		commands = append(commands, commandsOf(string(body))...)
	}
	slices.Sort(commands)
	commands = slices.Compact(commands)
	if len(commands) < 12 {
		t.Errorf("the documents tell of %q only: the test proves little", commands)
	}
	for _, command := range commands {
		r := (&shell{t: t}).run(append(strings.Fields(command), "--help")...)
		there := r.code == 0 && strings.HasPrefix(r.out, "Usage: clicktodial "+command)
		if !there {
			t.Errorf("%q: there %v, exit %d, %.60q", command, there, r.code, r.out+r.err)
		}
	}
}

// The public notice of a running service tells of its configuration.
func TestServedNotice(t *testing.T) {
	t.Parallel()
	s := setup(t).with("HISTORY_MAX_AGE", "5s", "PRIVACY_CONTACT", "privacy@provider.test", "DATA_LOCATIONS", "Amsterdam")
	p, url := s.serve()
	defer p.stop()
	code, page := get(t, url+"/privacy?lang=nl", "")
	for _, want := range []string{"5 seconden", "14 dagen", "90 dagen", "365 dagen", "privacy@provider.test", "Amsterdam"} {
		if code != 200 || !strings.Contains(page, want) {
			t.Errorf("%d, and it lacks %q", code, want)
		}
	}
}
