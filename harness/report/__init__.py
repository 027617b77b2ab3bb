"""Reports: verdicts as text for people (terminal, Markdown), for programs (JSON, JUnit) and for GitHub Actions. One render() each."""
