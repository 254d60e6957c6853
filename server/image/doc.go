// Package image serves the Image service, Glance's API v2, below /image/v2, and its versions document at /image.
//
// The rules are Glance's: who sees an image, what a list is filtered and sorted by, which attributes may be set when, the
// words of refusals (docs.openstack.org/api-ref/image/v2). Metadata lives in the replicated state, bytes in the servers'
// content-addressed stores. An upload becomes active only after most servers have its bytes; before that its image is
// saving and names, in Servers[0], the server that receives it, so that what a dead server left can be taken back (Recover).
//
// An import is a task, which package importer does; package store is where bytes can be kept. What is staged for an import lies in the servers' store and so
// outlives the server that received it.
//
// Not offered: locations and a cache.
package image
