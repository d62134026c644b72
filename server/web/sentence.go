package web

import (
	_ "embed"
	"encoding/json"
	"slices"
)

//go:embed sentences.json
var sentencesJSON []byte

// sentences is code → language → one human sentence.
var sentences = mustRead(sentencesJSON)

func mustRead(raw []byte) map[string]map[string]string {
	var all map[string]map[string]string
	if err := json.Unmarshal(raw, &all); err != nil {
		panic("sentences.json: " + err.Error())
	}
	return all
}

// Sentence gives the sentence of a code in the language, or fallback when the
// table has none.
func Sentence(code, lang, fallback string) string {
	if text := sentences[code][lang]; text != "" {
		return text
	}
	if text := sentences[code]["en"]; text != "" {
		return text
	}
	return fallback
}

// Codes lists every code that has a sentence, in order.
func Codes() []string {
	codes := make([]string, 0, len(sentences))
	for code := range sentences {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	return codes
}
