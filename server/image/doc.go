// Package image serves the Image service, Glance's API v2, below /image/v2, and its versions document at /image.
//
// The rules are Glance's: who sees an image, what a list is filtered and sorted by, which attributes may be set when, the
// words of refusals (docs.openstack.org/api-ref/image/v2). Metadata lives in the replicated state, bytes in the servers'
// content-addressed stores. An upload becomes active only after most servers have its bytes; before that its image is
// saving and names, in Servers[0], the server that receives it, so that what a dead server left can be taken back (Recover).
//
// Not offered: members (so a shared image is its project's alone), import, staging, locations, tasks, deactivation. These
// paths answer 404.
package image
