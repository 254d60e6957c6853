package policy

import "strings"

// glanceRules are the names of all of Glance's rules. As with Nova's, a file may have those of routes that are not served here.
var glanceRules = func() map[string]bool {
	names := map[string]bool{}
	for name := range strings.FieldsSeq(glanceNames) {
		names[name] = true
	}
	return names
}()

// whose is the service that a rule is of.
func whose(name string) string {
	if glanceRules[name] {
		return "Glance's"
	}
	return "Nova's"
}

const glanceNames = `
add_image
delete_image
get_image
get_images
modify_image
publicize_image
communitize_image
download_image
download_from_store
upload_image
delete_image_location
get_image_location
set_image_location
add_image_location
fetch_image_location
add_member
delete_member
get_member
get_members
modify_member
manage_image_cache
deactivate
reactivate
copy_image
list_cached_nodes
get_task
get_tasks
add_task
modify_task
tasks_api_access
metadef_default
metadef_admin
get_metadef_namespace
get_metadef_namespaces
modify_metadef_namespace
add_metadef_namespace
delete_metadef_namespace
get_metadef_object
get_metadef_objects
modify_metadef_object
add_metadef_object
delete_metadef_object
list_metadef_resource_types
get_metadef_resource_type
add_metadef_resource_type_association
remove_metadef_resource_type_association
get_metadef_property
get_metadef_properties
modify_metadef_property
add_metadef_property
remove_metadef_property
get_metadef_tag
get_metadef_tags
modify_metadef_tag
add_metadef_tag
add_metadef_tags
delete_metadef_tag
delete_metadef_tags
cache_image
cache_list
cache_delete
cache_clean
cache_prune
stores_info_detail
`
