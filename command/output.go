package command

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"text/template"
)

// outputFlags are -json and -t.
type outputFlags struct {
	json     bool
	template string
	parsed   *template.Template
}

func (o *outputFlags) register(set *flag.FlagSet) {
	set.BoolVar(&o.json, "json", false, "Print the result as JSON")
	set.StringVar(&o.template, "t", "", "Print the result through a Go `TEMPLATE`, by the names that -json shows")
}

func (o *outputFlags) check() error {
	if o.json && o.template != "" {
		return usagef("-json and -t are two ways to print one result; choose one")
	}
	if o.template == "" {
		return nil
	}
	var err error
	o.parsed, err = template.New("-t").Funcs(template.FuncMap{"json": jsonText}).Parse(o.template)
	if err != nil {
		return usagef("%v", err)
	}
	return nil
}

func jsonText(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// print writes a result as the flags ask; text writes it for people.
func (s *session) print(result any, text func(w io.Writer)) error {
	switch {
	case s.output.json:
		encoder := json.NewEncoder(s.Out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(result)
	case s.output.parsed != nil:
		plain, err := plainValue(result)
		if err != nil {
			return err
		}
		if err := s.output.parsed.Execute(s.Out, plain); err != nil {
			return fmt.Errorf("print through -t: %w", err)
		}
		_, err = fmt.Fprintln(s.Out)
		return err
	}
	text(s.Out)
	return nil
}

// plainValue makes templates use the names that -json shows.
func plainValue(v any) (plain any, err error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	err = decoder.Decode(&plain)
	return plain, err
}

// table writes rows in columns; the first row is the heading.
func table(w io.Writer, rows [][]string) {
	out := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if cell == "" {
				row[i] = "-"
			}
		}
		_, _ = fmt.Fprintln(out, strings.Join(row, "\t"))
	}
	_ = out.Flush()
}

// details writes names and values in two columns.
func details(w io.Writer, pairs [][2]string) {
	width := 0
	for _, p := range pairs {
		width = max(width, len(p[0]))
	}
	for _, p := range pairs {
		value := p[1]
		if value == "" {
			value = "-"
		}
		_, _ = fmt.Fprintf(w, "%-*s = %s\n", width, p[0], value)
	}
}

// notef writes a note for people.
func (s *session) notef(format string, args ...any) { _, _ = fmt.Fprintf(s.Err, format+"\n", args...) }
