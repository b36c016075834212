//! As much of a shell as the tutorial needs: one command a line, words in quotes, comments.

/// The commands of a block, each as its words. A quoted word may hold line ends.
pub fn commands(text: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let (mut words, mut word): (Vec<String>, Option<String>) = (Vec::new(), None);
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            quote @ ('"' | '\'') => {
                let quoted: String = chars.by_ref().take_while(|&inside| inside != quote).collect();
                word.get_or_insert_default().push_str(&quoted);
            }
            '#' if word.is_none() => {
                let _comment = chars.by_ref().find(|&inside| inside == '\n');
                commands.push(std::mem::take(&mut words));
            }
            '\n' => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
            }
            ' ' => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    commands
}

#[test]
fn words_are_split_as_a_shell_splits_them() {
    let text = "avowal show x k=\"a b\"  # why\n\n# a comment\nsqlite3 a.db \"SELECT 'x',\n  1\"\n";
    let expected = vec![vec!["avowal", "show", "x", "k=a b"], vec!["sqlite3", "a.db", "SELECT 'x',\n  1"]];
    assert_eq!(commands(text), expected);
}
