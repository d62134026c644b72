package console

import (
	_ "embed"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"clicktodial/server/web"
)

//go:embed texts.json
var textsJSON []byte

var languages = []string{"en", "nl", "de"}

// texts is key → language → text.
var texts = mustReadTexts(textsJSON)

func mustReadTexts(raw []byte) map[string]map[string]string {
	var all map[string]map[string]string
	if err := json.Unmarshal(raw, &all); err != nil {
		panic("texts.json: " + err.Error()) //nolint:forbidigo // a fault of the build, seen at every start
	}
	return all
}

// say gives a text in the language, with {0}, {1} … replaced.
func say(lang, key string, args ...string) string {
	text := texts[key][lang]
	if text == "" {
		return key
	}
	for i, arg := range args {
		text = strings.ReplaceAll(text, "{"+strconv.Itoa(i)+"}", arg)
	}
	return text
}

// sentence is a fault's, for people at a page: some say it otherwise than to programs.
func sentence(lang, code, detail string) string {
	if own := texts["error-"+code][lang]; own != "" {
		return own
	}
	return web.Sentence(code, lang, detail)
}

// sentenceIn is that of a fault in a form, which may say more of its own fields.
func sentenceIn(form, lang, code, detail string) string {
	if own := texts["error-"+form+"-"+code][lang]; own != "" {
		return own
	}
	return sentence(lang, code, detail)
}

var months = map[string][12]string{
	"en": {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"},
	"nl": {"jan", "feb", "mrt", "apr", "mei", "jun", "jul", "aug", "sep", "okt", "nov", "dec"},
	"de": {"Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez."},
}

func dayText(lang string, t time.Time) string {
	t = t.UTC()
	day := strconv.Itoa(t.Day())
	if lang == "de" {
		day += "."
	}
	return day + " " + months[lang][t.Month()-1] + " " + strconv.Itoa(t.Year())
}

// moment is a time as a page shows it.
type moment struct{ ISO, Text, Full string }

// momentOf says how long ago it was, because the server does not know what the
// person's clock says; what is further away has its date, in UTC.
func momentOf(lang string, t, now time.Time) moment {
	t = t.UTC()
	full := dayText(lang, t) + ", " + t.Format("15:04") + " UTC"
	m := moment{ISO: t.Format(time.RFC3339), Full: full, Text: full}
	switch ago := now.Sub(t); {
	case ago < -time.Minute:
	case ago < time.Minute:
		m.Text = say(lang, "just-now")
	case ago < time.Hour:
		m.Text = say(lang, "minutes-ago", strconv.Itoa(int(ago.Minutes())))
	case ago < 24*time.Hour:
		m.Text = say(lang, "hours-ago", strconv.Itoa(int(ago.Hours())))
	}
	return m
}
