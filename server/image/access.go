package image

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
)

// Parts of the defaults of Glance's rules (glance/policies/base.py).
const (
	ofOwner      = "project_id:%(project_id)s"
	ofMember     = "project_id:%(member_id)s"
	known        = "(" + ofOwner + " or " + ofMember + " or 'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s)"
	ownerWrites  = policy.Admin + " or (role:member and " + ofOwner + ")"
	ownerReads   = policy.Admin + " or (role:reader and " + ofOwner + ")"
	membersRead  = policy.Admin + " or role:reader and (" + ofOwner + " or " + ofMember + ")"
	allowedFetch = policy.Admin + " or (role:member and " + known + ")"
)

// The rules by Glance's names and defaults. All but the list's are asked for an image.
var (
	ruleList           = httpapi.Check("get_images", ownerReads)
	ruleShow           = httpapi.Judged("get_image", policy.Admin+" or (role:reader and "+known+")")
	ruleDownload       = httpapi.Judged("download_image", allowedFetch)
	ruleFromStore      = httpapi.Check("download_from_store", allowedFetch)
	ruleAdd            = httpapi.Judged("add_image", policy.Admin+" or (role:member and "+ofOwner+" and project_id:%(owner)s)")
	ruleModify         = httpapi.Judged("modify_image", ownerWrites)
	ruleDelete         = httpapi.Judged("delete_image", ownerWrites)
	ruleUpload         = httpapi.Judged("upload_image", ownerWrites)
	rulePublic         = httpapi.Check("publicize_image", policy.Admin)
	ruleCommunity      = httpapi.Check("communitize_image", ownerWrites)
	ruleSetLocation    = httpapi.Check("set_image_location", ownerWrites)
	ruleDeleteLocation = httpapi.Check("delete_image_location", policy.Admin)
	ruleDeactivate     = httpapi.Judged("deactivate", ownerWrites)
	ruleReactivate     = httpapi.Judged("reactivate", ownerWrites)
	ruleMemberList     = httpapi.Judged("get_members", membersRead)
	ruleMemberShow     = httpapi.Judged("get_member", membersRead)
	ruleMemberAdd      = httpapi.Judged("add_member", ownerWrites)
	ruleMemberSet      = httpapi.Judged("modify_member", policy.Admin+" or (role:member and "+ofMember+")")
	ruleMemberRemove   = httpapi.Judged("delete_member", ownerWrites)
	ruleStoresDetail   = httpapi.Check("stores_info_detail", policy.Admin+" or rule:service_api")
	ruleCopy           = httpapi.Check("copy_image", policy.Admin)
	ruleLocation       = httpapi.Judged("get_image_location", ownerReads)
	ruleTasks          = httpapi.Check("tasks_api_access", policy.Admin)
	ruleCacheList      = httpapi.Check("cache_list", policy.Admin)
	ruleCacheImage     = httpapi.Check("cache_image", policy.Admin)
	ruleCacheDelete    = httpapi.Check("cache_delete", policy.Admin)
	ruleCacheClean     = httpapi.Check("cache_clean", policy.Admin)
	ruleCachePrune     = httpapi.Check("cache_prune", policy.Admin)
	// Glance asks modify_image or, to copy, copy_image, once it has found the image's status right.
	ruleImport = httpapi.Authenticated("kilonova:image:import")
	// Glance asks no rule for these: a token will do.
	ruleSchemas = httpapi.Authenticated("kilonova:image:schemas")
	ruleInfo    = httpapi.Authenticated("kilonova:image:info")
)

// furtherRules are judged within requests, and no row has them.
var furtherRules = []httpapi.Rule{rulePublic, ruleCommunity, ruleSetLocation, ruleDeleteLocation, ruleFromStore, ruleCopy}

// target is what the rules are asked about an image. Who sees a shared image that is not its own project's sees it as a member.
func target(t *httpapi.Token, i *structs.Image) policy.Target {
	more := map[string]string{"owner": string(i.ProjectID), "visibility": i.Visibility}
	if i.Visibility == "shared" && t.ProjectID != i.ProjectID {
		more["member_id"] = string(t.ProjectID)
	}
	return policy.Target{ProjectID: string(i.ProjectID), More: more}
}

// visible reports whether the caller may know of the image, whatever the rules say.
func visible(t *httpapi.Token, rd state.Reader, i *structs.Image) bool {
	switch {
	case t.IsAdmin(), i.ProjectID == "", i.Visibility == "public", i.Visibility == "community":
		return true
	case t.ProjectID != "" && t.ProjectID == i.ProjectID:
		return true
	}
	return rd.ImageShared(i, t.ProjectID)
}

// mayShow reports whether the rules let the caller know of a visible image.
func mayShow(r *httpapi.Request, i *structs.Image) bool {
	return r.MayTarget(ruleShow, target(r.Token, i))
}

// judge judges the row's rule for a visible image. What the rules hide is not found; what may be seen is refused with 403.
func judge(r *httpapi.Request, i *structs.Image, missing error) error {
	err := r.Judge(target(r.Token, i))
	if err != nil && (r.Route.Rule.Name() == ruleShow.Name() || !mayShow(r, i)) {
		return missing
	}
	return err
}
