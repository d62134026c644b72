package config

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
)

// Masked gives the configuration by variable, secrets masked.
func (c *Config) Masked() map[string]string {
	out := map[string]string{}
	v := reflect.ValueOf(*c)
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name := field.Tag.Get("env")
		if name == "" {
			continue
		}
		text := fmt.Sprint(v.Field(i).Interface())
		if list, ok := v.Field(i).Interface().([]string); ok {
			text = strings.Join(list, ",")
		}
		out[name] = mask(field.Tag.Get("secret"), text)
	}
	return out
}

func mask(how, text string) string {
	switch {
	case text == "" || how == "":
		return text
	case how == "url":
		return maskURL(text)
	default:
		return "***"
	}
}

// maskURL keeps scheme, host and database: what an operator wants to know. The
// rest of a URL, above all the query of a PBX's, may hold anything; so may all of a
// text that is no URL.
func maskURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || !strings.HasPrefix(text, u.Scheme+"://") || strings.Contains(u.Path, "@") {
		return "***"
	}
	masked := u.Scheme + "://"
	if u.User != nil {
		masked += "***@"
	}
	return masked + u.Host + u.Path
}

func fieldVar(field string) string {
	f, ok := reflect.TypeFor[Config]().FieldByName(field)
	if !ok {
		return field
	}
	return f.Tag.Get("env")
}
