"""What several sources speak: pieces of JSON, times, HTML, signatures."""
