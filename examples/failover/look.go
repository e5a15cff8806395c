package main

// look says what to look at.
func (r *report) look(s settings) string {
	return ""
}
