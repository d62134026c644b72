package web

// SentenceIn gives the sentence in the language, without falling back.
func SentenceIn(code, lang string) string { return sentences[code][lang] }
