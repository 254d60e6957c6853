package lint

import (
	"go/ast"
	"go/token"
	"slices"
	"testing"
)

// selfEvident are methods whose contract their standard interface states.
var selfEvident = []string{"String", "Error", "Unwrap", "Is", "As", "Read", "Write", "Close", "Len", "Less", "Swap", "ServeHTTP", "Flush", "Seek", "ReadAt", "WriteTo",
	"ReadFrom", "MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText"}

func TestExportedNamesSayTheirContract(t *testing.T) {
	var findings []string
	for _, s := range sources(t) {
		if s.test || s.generated {
			continue
		}
		exported := s.file.Name.Name != "main"
		for _, declaration := range s.file.Decls {
			if exported {
				findings = append(findings, undocumented(declaration)...)
			}
		}
	}
	report(t, findings, "Every exported name has a comment that says its contract: what it promises, who may call it, what it returns when it fails:")
}

func undocumented(declaration ast.Decl) (findings []string) {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && !isSelfEvident(d) && receiverExported(d) {
			findings = append(findings, at(d)+": "+d.Name.Name)
		}
	case *ast.GenDecl:
		if d.Tok == token.IMPORT {
			return nil
		}
		if d.Tok == token.CONST && isEnumeration(d) {
			return nil
		}
		for _, spec := range d.Specs {
			findings = append(findings, undocumentedSpec(d, spec)...)
		}
	}
	return findings
}

func isSelfEvident(f *ast.FuncDecl) bool {
	return f.Recv != nil && slices.Contains(selfEvident, f.Name.Name)
}

// receiverExported also holds for plain functions.
func receiverExported(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	kind := f.Recv.List[0].Type
	for {
		switch t := kind.(type) {
		case *ast.StarExpr:
			kind = t.X
		case *ast.IndexExpr:
			kind = t.X
		case *ast.IndexListExpr:
			kind = t.X
		case *ast.Ident:
			return t.IsExported()
		default:
			return false
		}
	}
}

// isEnumeration holds for constants of one exported type: the comment of the type is theirs.
func isEnumeration(d *ast.GenDecl) bool {
	first, ok := d.Specs[0].(*ast.ValueSpec)
	if !ok {
		return false
	}
	kind, ok := first.Type.(*ast.Ident)
	return ok && kind.IsExported()
}

// undocumentedSpec accepts a comment on the group, above the name or behind it.
func undocumentedSpec(d *ast.GenDecl, spec ast.Spec) (findings []string) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
			findings = append(findings, at(s)+": "+s.Name.Name)
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
				findings = append(findings, at(name)+": "+name.Name)
			}
		}
	}
	return findings
}
