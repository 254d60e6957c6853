package libvirt

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// metadataNamespace is the XML namespace of the element that the driver keeps in each domain. It is a name, not an
// address; the closing number changes when an older driver could not read what a newer one writes.
const metadataNamespace = "https://kilonova.cloud/xmlns/libvirt/instance/1"

// metadata is what a domain says of itself, so that List, Inspect and Recover need nothing but libvirt.
type metadata struct {
	XMLName    xml.Name `xml:"https://kilonova.cloud/xmlns/libvirt/instance/1 instance"`
	Name       string   `xml:"name"`       // the user's name for the instance; for people who run virsh
	Hostname   string   `xml:"hostname"`   // what the guest was told to call itself
	Project    string   `xml:"project"`    // id
	User       string   `xml:"user"`       // id
	Image      string   `xml:"image"`      // id
	Generation uint64   `xml:"generation"` // of the call that defined the domain
	Operation  string   `xml:"operation"`  // id of the Create that shaped it
	Folder     string   `xml:"folder"`     // the instance's folder; whose it is, is whose the domain is
}

func (m *metadata) marshal() (string, error) {
	raw, err := xml.Marshal(m)
	return string(raw), err
}

// parseMetadata finds our element among what a domain's <metadata> holds, or returns nil: other tools write there too.
func parseMetadata(inner string) (*metadata, error) {
	decoder := xml.NewDecoder(strings.NewReader(inner))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		start, isStart := token.(xml.StartElement)
		if !isStart {
			continue
		}
		if start.Name.Space != metadataNamespace || start.Name.Local != "instance" {
			if err := decoder.Skip(); err != nil {
				return nil, err
			}
			continue
		}
		m := &metadata{}
		if err := decoder.DecodeElement(m, &start); err != nil {
			return nil, err
		}
		return m, nil
	}
}
