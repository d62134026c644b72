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
		u, err := url.Parse(text)
		if err != nil {
			return "***"
		}
		// Scheme and host tell an operator what they want to know; the query of a
		// PBX URL may hold anything.
		masked := u.Scheme + "://"
		if u.User != nil {
			masked += "***@"
		}
		return masked + u.Host + u.Path
	default:
		return "***"
	}
}

func fieldVar(field string) string {
	f, ok := reflect.TypeFor[Config]().FieldByName(field)
	if !ok {
		return field
	}
	return f.Tag.Get("env")
}
