package register

import (
	"embed"
	"fmt"
	"io"
	"strings"
	"text/template"
	"time"
)

//go:embed annex/*.md
var annexFiles embed.FS

// Annex is the annex to a processor agreement (GDPR art. 28(3)).
type Annex struct {
	Lang     string    `json:"lang"`
	Title    string    `json:"title"`
	Intro    string    `json:"intro"`
	Sections []Section `json:"sections"`
}

// Section is a part of the annex; Text is Markdown.
type Section struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

// annexData is what the templates are given.
type annexData struct {
	Settings
	lang string
}

// Span says a length of time in the annex's language.
func (d annexData) Span(length time.Duration) string { return Span(d.lang, length) }

// ContactText is the contact, or that there is none.
func (d annexData) ContactText() string { return stated(d.Contact, notStated[d.lang]) }

// LocationsText is the locations, or that there are none.
func (d annexData) LocationsText() string { return stated(d.Locations, notStated[d.lang]) }

// AnnexOf makes the annex of an installation in a language: en, nl or de.
func AnnexOf(s Settings, lang string) (Annex, error) {
	source, err := annexFiles.ReadFile("annex/" + lang + ".md")
	if err != nil {
		return Annex{}, fmt.Errorf("reading the annex: %w", err)
	}
	parsed, err := template.New("annex").Option("missingkey=error").Parse(string(source))
	if err != nil {
		return Annex{}, fmt.Errorf("parsing the annex: %w", err)
	}
	var out strings.Builder
	if err := parsed.Execute(&out, annexData{s, lang}); err != nil {
		return Annex{}, fmt.Errorf("filling in the annex: %w", err)
	}
	head, parts, _ := strings.Cut(out.String(), "\n## ")
	title, intro, _ := strings.Cut(strings.TrimPrefix(head, "# "), "\n")
	a := Annex{Lang: lang, Title: strings.TrimSpace(title), Intro: strings.TrimSpace(intro)}
	for part := range strings.SplitSeq(parts, "\n## ") {
		title, text, _ := strings.Cut(part, "\n")
		a.Sections = append(a.Sections, Section{Title: strings.TrimSpace(title), Text: strings.TrimSpace(text)})
	}
	return a, nil
}

// WriteMarkdown writes the annex for people.
func (a Annex) WriteMarkdown(w io.Writer) {
	fmt.Fprintf(w, "# %s\n\n%s\n", a.Title, a.Intro)
	for _, s := range a.Sections {
		fmt.Fprintf(w, "\n## %s\n\n%s\n", s.Title, s.Text)
	}
}
