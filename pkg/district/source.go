package district

// Read says how a source was read, which bounds what may be claimed of it.
type Read string

const (
	// ReadPrimary means the article itself was read.
	ReadPrimary Read = "primary"
	// ReadSecondary means a guide or report quoting it was read.
	ReadSecondary Read = "secondary"
	// ReadUnconfirmed means the rule is known and was not seen.
	ReadUnconfirmed Read = "unconfirmed"
)

// Source is what a rule id such as R6.6 stands for.
type Source struct {
	ID   string `yaml:"id"`
	ZH   string `yaml:"zh"`
	Read Read   `yaml:"read"`
}

// Status says how binding a length, an amount or a table row is.
type Status string

const (
	// StatusLaw is set by an article that was read.
	StatusLaw Status = "law"
	// StatusSecondary is quoted by a guide or report.
	StatusSecondary Status = "secondary"
	// StatusDistrictDefault is the district's own choice and never shown as law.
	StatusDistrictDefault Status = "district_default"
	// StatusPlaceholder stands in for a figure or layout nobody has given yet; production refuses to pay on one.
	StatusPlaceholder Status = "placeholder"
)

// Default is something the district chose itself, which its legal office may have to defend.
type Default struct {
	// File and What name the entry, Source the rule that founds it without fixing it.
	File, What, Source string
}

// Placeholder is something that must be replaced before money is paid.
type Placeholder struct {
	// File and What name the entry, Why says who has to give the real one.
	File, What, Why string
}

func (l *loader) readSources() func() {
	type file struct {
		Sources []Source `yaml:"sources"`
	}
	entries, doc := parse[file](l, sourcesFile)
	return func() {
		l.d.sources = indexed(doc, "sources", entries.Sources, "id", func(s Source) string { return s.ID })
		for i, s := range entries.Sources {
			way := at{"sources", i}
			doc.text(way, "source "+s.ID, "zh", s.ZH)
			switch s.Read {
			case ReadPrimary, ReadSecondary, ReadUnconfirmed:
			default:
				doc.fail(append(way, "read"), "source %s: read %q is none of primary, secondary, unconfirmed", s.ID, s.Read)
			}
		}
	}
}

// cites checks that a source exists.
func (f *document) cites(way at, what, source string) bool {
	if _, ok := f.l.d.sources[source]; !ok {
		f.fail(append(way, "source"), "%s: source %q is not in %s", what, source, sourcesFile)
		return false
	}
	return true
}

// claims checks that a status claims no more than its source was read for: law needs the article itself, and a
// source nobody saw founds only a default of the district.
func (f *document) claims(way at, what, source string, status Status) {
	if !f.cites(way, what, source) {
		return
	}
	read := f.l.d.sources[source].Read
	way = append(way, "status")
	switch status {
	case StatusLaw:
		if read != ReadPrimary {
			f.fail(way, "%s: status law, but source %s was read as %s", what, source, read)
		}
	case StatusSecondary:
		if read == ReadUnconfirmed {
			f.fail(way, "%s: source %s is unconfirmed, so status must be district_default", what, source)
		}
	case StatusDistrictDefault:
		f.l.d.defaults = append(f.l.d.defaults, Default{File: f.file, What: what, Source: source})
	case StatusPlaceholder:
	default:
		f.fail(way, "%s: status %q is none of law, secondary, district_default, placeholder", what, status)
	}
}

func (f *document) placeholder(what, why string) {
	f.l.d.placeholders = append(f.l.d.placeholders, Placeholder{File: f.file, What: what, Why: why})
}

// Source finds the source of a rule id.
func (d *District) Source(id string) (Source, bool) {
	s, ok := d.sources[id]
	return s, ok
}

// Defaults lists what the district chose itself, in the order of the files.
func (d *District) Defaults() []Default { return d.defaults }

// Placeholders lists what nobody has given yet.
func (d *District) Placeholders() []Placeholder { return d.placeholders }
