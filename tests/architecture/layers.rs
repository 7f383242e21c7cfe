//! The table of layers as written in ARCHITECTURE.md: the first row stands highest.

/// Which module stands in which row.
#[derive(Debug)]
pub struct Layers {
    rows: Vec<Vec<String>>,
}

impl Layers {
    /// Reads the table whose head is `| modules |`. Module names are the words between backquotes in the first column.
    pub fn parse(page: &str) -> Result<Self, String> {
        let rows: Vec<Vec<String>> = page
            .lines()
            .skip_while(|line| !line.starts_with("| modules |"))
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .map(|line| {
                let cell = line.trim_start_matches('|').split('|').next().unwrap_or_default();
                cell.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect()
            })
            .collect();
        if rows.len() < 2 || rows.iter().any(Vec::is_empty) {
            return Err(format!("no table `| modules |` with a module in every row: {rows:?}"));
        }
        let mut seen = std::collections::HashSet::new();
        match rows.iter().flatten().find(|name| !seen.insert(name.as_str())) {
            Some(twice) => Err(format!("`{twice}` stands in the table twice")),
            None => Ok(Self { rows }),
        }
    }

    /// All names, from the top.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().flatten().map(String::as_str)
    }

    /// The row of a module, 0 the highest; `None` when the table does not name it.
    pub fn row(&self, module: &str) -> Option<usize> {
        self.rows.iter().position(|row| row.iter().any(|name| name == module))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# x\n\n| modules | why |\n| --- | --- |\n| `app` | all |\n| `one` `two` | equals |\n\
                        | `mail`* | pure |\n\n| modules | other |\n";

    #[test]
    fn rows_are_read_from_the_top() {
        let layers = Layers::parse(PAGE).expect("a table");
        assert_eq!(
            ["app", "one", "two", "mail", "other"].map(|module| layers.row(module)),
            [Some(0), Some(1), Some(1), Some(2), None]
        );
    }

    #[test]
    fn a_page_without_a_table_or_with_a_module_twice_is_refused() {
        assert!(Layers::parse("# nothing\n").is_err());
        assert!(Layers::parse(&PAGE.replace("`two`", "`app`")).is_err());
        assert!(Layers::parse(&PAGE.replace("`mail`*", "mail")).is_err());
    }
}
