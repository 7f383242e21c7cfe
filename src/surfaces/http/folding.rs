//! Base64 in lines, as some clients of the replaced services write it.

/// Base64 without the line breaks that mail tools put into it (RFC 2045, section 6.8).
pub fn unfolded(content: String) -> String {
    if content.contains(['\r', '\n']) { content.replace(['\r', '\n'], "") } else { content }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_line_breaks_are_taken_out() {
        assert_eq!(unfolded("YW\r\nFh\n".to_owned()), "YWFh");
        assert_eq!(unfolded("Y W=*".to_owned()), "Y W=*");
    }
}
