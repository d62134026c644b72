package phone

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// written is a number as somebody wrote it, taken apart but not yet understood.
// Its body has only ASCII digits, + * # and punctuation.
type written struct {
	body    string
	ext     string
	context string // RFC 3966 phone-context when it is a global prefix: +31
}

// tel gives what stands behind a tel: or callto: scheme, percent escapes decoded,
// or raw itself.
func tel(raw string) (text string, isURI, ok bool) {
	scheme, rest, found := strings.Cut(strings.TrimLeft(raw, " "), ":")
	if !found || !strings.EqualFold(scheme, "tel") && !strings.EqualFold(scheme, "callto") {
		return raw, false, true
	}
	text, err := url.PathUnescape(strings.TrimPrefix(rest, "//"))
	return text, true, err == nil // the error repeats the input
}

// plain turns the many ways to write a digit, space, dash or bracket into the one
// of ASCII and drops what cannot be seen. ok is false at a character that stands
// in no number.
func plain(text string) (ascii string, ok bool) {
	var b strings.Builder
	for _, r := range text {
		switch c := plainRune(r); {
		case c == bad:
			return "", false
		case c != drop:
			b.WriteByte(byte(c))
		}
	}
	return strings.TrimSpace(b.String()), true
}

const (
	drop rune = -1
	bad  rune = -2
)

// asciiKept is what may stand in a number as it is. Letters, comma, equals and the
// rest are for extensions and parameters; the body is checked without them.
const asciiKept = " +*#()[].-/,;=:"

func plainRune(r rune) rune {
	switch {
	case r >= '０'-'0'+'!' && r <= '０'-'0'+'~': // full-width forms of ASCII
		return plainRune(r - '０' + '0')
	case r < unicode.MaxASCII:
		if isDigit(byte(r)) || isLetter(byte(r)) || strings.ContainsRune(asciiKept, r) {
			return r
		}
		return bad
	case r >= '\u200b' && r <= '\u200f', r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069',
		r == '\u2060', r == '\ufeff', r == '\u00ad', r == '\u061c':
		return drop
	case unicode.Is(unicode.Zs, r):
		return ' '
	case unicode.Is(unicode.Pd, r), r == '\u2212', r == '\u2043': // dashes, minus, hyphen bullet
		return '-'
	case r == '·', r == '‧', r == '•', r == '∙': // dots at mid height
		return '.'
	case r == '\u2044', r == '\u2215': // fraction and division slash
		return '/'
	case unicode.Is(unicode.Nd, r):
		return digitOf(r)
	default:
		return bad
	}
}

// digitOf gives the ASCII digit of a decimal digit in any script. Unicode assigns
// them in runs of ten, from nought upwards (The Unicode Standard, 4.6).
func digitOf(r rune) rune {
	for _, t := range unicode.Nd.R16 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return '0' + (r-rune(t.Lo))%10
		}
	}
	for _, t := range unicode.Nd.R32 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return '0' + (r-rune(t.Lo))%10
		}
	}
	return bad
}

var (
	// RFC 3966 parameters, without the visual separators of their values.
	param = regexp.MustCompile(`^([A-Za-z0-9-]+)(?:=([A-Za-z0-9.+-]*))?$`)

	// An extension named by a word: "ext. 12", "x12", "toestel 12", "Durchwahl 12".
	spokenExt = regexp.MustCompile(`(?i)^([^a-z,;:=]*[^a-z,;:= ]) *,? *` +
		`(?:extension|extn|ext|toestel|tst|durchwahl|dw|nebenstelle|nst|poste|x) *[.:]? *([0-9]{1,10})$`)

	// One or two pauses, then digits: "0201234567,,123#".
	pausedExt = regexp.MustCompile(`^([^a-zA-Z,;:=]*[^a-zA-Z,;:= ]) *,{1,2}([0-9]{1,10})#?$`)

	bodyShape = regexp.MustCompile(`^[0-9+*#()\[\]./ -]+$`)
	extDigits = regexp.MustCompile(`^[0-9]{1,10}$`)
	prefixes  = regexp.MustCompile(`^\+[1-9][0-9]{0,6}$`)
)

// takeApart finds body, extension and context in plain text.
func takeApart(ascii string, isURI bool) (w written, ok bool) {
	body, params, hasParams := strings.Cut(ascii, ";")
	if hasParams && !w.readParams(params, isURI) {
		return w, false
	}
	for _, re := range []*regexp.Regexp{spokenExt, pausedExt} {
		if m := re.FindStringSubmatch(body); m != nil {
			if w.ext != "" {
				return w, false
			}
			body, w.ext = m[1], m[2]
			break
		}
	}
	w.body = strings.TrimSpace(body)
	return w, bodyShape.MatchString(w.body)
}

// readParams reads ;ext= and, of a URI, ;phone-context=. Others of a URI (isub,
// cpc) say nothing about whom to ring; a context that is a domain neither.
func (w *written) readParams(params string, isURI bool) bool {
	seen := map[string]bool{}
	for p := range strings.SplitSeq(params, ";") {
		m := param.FindStringSubmatch(strings.TrimSpace(p))
		if m == nil {
			return false
		}
		name, value := strings.ToLower(m[1]), m[2]
		if seen[name] || !isURI && name != "ext" {
			return false
		}
		seen[name] = true
		switch name {
		case "ext":
			w.ext = strings.NewReplacer("-", "", ".", "").Replace(value)
			if !extDigits.MatchString(w.ext) {
				return false
			}
		case "phone-context":
			if !strings.HasPrefix(value, "+") {
				continue
			}
			w.context = "+" + onlyDigits(value)
			if !prefixes.MatchString(w.context) {
				return false
			}
		}
	}
	return true
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

func countDigits(s string) int { return len(onlyDigits(s)) }
