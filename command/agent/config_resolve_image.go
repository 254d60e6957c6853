package agent

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/image/fetch"
	"github.com/kilonova-cloud/kilonova/server/image/store/s3"
)

var importMethods = []string{structs.ImportDirect, structs.ImportDownload, structs.ImportCopy}

func (r *resolver) image() {
	c, out, path := r.config.Server.Image, &r.rt.Server.Image, imagePath
	r.imageMode(c)
	out.SizeTotal = r.atLeast(path+structs.ImageSizeTotal, c.SizeTotal, -1, -1)
	out.StageTotal = r.atLeast(path+structs.ImageStageTotal, c.StageTotal, -1, -1)
	out.CountTotal = r.atLeast(path+structs.ImageCountTotal, c.CountTotal, -1, -1)
	out.CountUploading = r.atLeast(path+structs.ImageCountUploading, c.CountUploading, -1, -1)
	out.Copies = r.atLeast(path+"copies", c.Copies, 0, 0)
	out.VerifyInterval = r.duration(path+"verify_interval", c.VerifyInterval, 7*24*time.Hour, 0)
	if out.ImportMethods = c.ImportMethods; out.ImportMethods == nil {
		out.ImportMethods = importMethods
	}
	for n, m := range out.ImportMethods {
		if !slices.Contains(importMethods, m) || slices.Contains(out.ImportMethods[:n], m) {
			r.refuse(path+"enabled_import_methods", "%q is not known or stands twice; %s are right", m, strings.Join(importMethods, ", "))
		}
	}
	out.TaskTTL = r.duration(path+"task_time_to_live", c.TaskTTL, 48*time.Hour, time.Minute)
	r.webDownload()
	ids := []string{structs.StoreServers}
	for _, b := range c.S3 {
		out.S3 = append(out.S3, r.s3Store(path+"s3", b))
		ids = append(ids, b.Name)
	}
	if out.DefaultStore = value(c.DefaultStore, structs.StoreServers); !slices.Contains(ids, out.DefaultStore) {
		r.refuse(path+"default_store", "there is no store %q; %s are", out.DefaultStore, strings.Join(ids, ", "))
	}
}

// webDownload takes Glance's defaults where nothing is said.
func (r *resolver) webDownload() {
	c, out, path := r.config.Server.Image.WebDownload, &r.rt.Server.Image.WebDownload, "server.image.web_download."
	d := fetch.Defaults()
	out.AllowedSchemes, out.DisallowedSchemes = c.AllowedSchemes, c.DisallowedSchemes
	out.AllowedHosts, out.DisallowedHosts = c.AllowedHosts, c.DisallowedHosts
	out.AllowedPorts, out.DisallowedPorts = c.AllowedPorts, c.DisallowedPorts
	if out.AllowedSchemes == nil {
		out.AllowedSchemes = d.AllowedSchemes
	}
	if out.AllowedPorts == nil {
		out.AllowedPorts = d.AllowedPorts
	}
	for name, list := range map[string][]string{"allowed_schemes": out.AllowedSchemes, "disallowed_schemes": out.DisallowedSchemes} {
		for _, s := range list {
			if s != "http" && s != "https" {
				r.refuse(path+name, "%q cannot be fetched; http and https can", s)
			}
		}
	}
	for name, list := range map[string][]string{"allowed_hosts": out.AllowedHosts, "disallowed_hosts": out.DisallowedHosts} {
		for _, h := range list {
			if _, ok := fetch.Host(strings.Trim(h, "[]")); !ok {
				r.refuse(path+name, "%q is no name or address of a host; \"images.example.org\" is right", h)
			}
		}
	}
	for name, list := range map[string][]int{"allowed_ports": out.AllowedPorts, "disallowed_ports": out.DisallowedPorts} {
		for _, p := range list {
			if p < 1 || p > 65535 {
				r.refuse(path+name, "%d is no port; 1 to 65535 is right", p)
			}
		}
	}
	for _, text := range c.AllowedNetworks {
		p, err := netip.ParsePrefix(text)
		if err != nil || p != p.Masked() {
			r.refuse(path+"allowed_networks", "%q is no network; one such as \"10.1.0.0/16\" is right", text)
		}
	}
	out.AllowedNetworks = c.AllowedNetworks
}

func (r *resolver) s3Store(path string, b *S3StoreConfig) S3StoreRuntime {
	own := r.sinkPath(path, b.Name)
	if b.Name == structs.StoreServers {
		r.refuse(own, "is what the servers' own store is called; another name is right")
	}
	out := S3StoreRuntime{Name: b.Name, Description: value(b.Description, ""), Endpoint: value(b.Endpoint, ""), Bucket: value(b.Bucket, ""), Region: value(b.Region, "us-east-1"),
		AccessKey: value(b.AccessKey, ""), SecretKey: r.said(own, "secret_key", b.SecretKey, b.SecretKeyFile), PathStyle: value(b.PathStyle, true), Prefix: value(b.Prefix, "")}
	if err := s3.CheckEndpoint(out.Endpoint); err != nil {
		r.refuse(joinPath(own, "endpoint"), "%v", err)
	}
	if out.Bucket == "" {
		r.refuse(joinPath(own, "bucket"), "is missing; the name of a bucket that exists is right")
	}
	if out.AccessKey == "" || b.SecretKey == nil && b.SecretKeyFile == nil {
		r.refuse(own, "has no keys; access_key, and secret_key_file with the path of a file that holds the other, are right")
	}
	return out
}

// Limits are the limits by their names.
func (i ImageRuntime) Limits() structs.ImageLimits {
	return structs.ImageLimits{structs.ImageSizeTotal: int64(i.SizeTotal), structs.ImageStageTotal: int64(i.StageTotal),
		structs.ImageCountTotal: int64(i.CountTotal), structs.ImageCountUploading: int64(i.CountUploading)}
}

// Rules are what users may have the servers fetch.
func (w WebDownloadRuntime) Rules() fetch.Rules {
	r := fetch.Rules{AllowedSchemes: w.AllowedSchemes, DisallowedSchemes: w.DisallowedSchemes, AllowedHosts: w.AllowedHosts, DisallowedHosts: w.DisallowedHosts,
		AllowedPorts: w.AllowedPorts, DisallowedPorts: w.DisallowedPorts}
	for _, text := range w.AllowedNetworks {
		r.AllowedNetworks = append(r.AllowedNetworks, netip.MustParsePrefix(text)) // it was judged when the configuration was read
	}
	return r
}
